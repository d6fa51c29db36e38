//! How a task says whose it is: in `startedBy`, which every listing can be
//! asked for, every description shows and every event carries.

use crate::job::AttemptKey;

/// The longest name of a deployment: what is left of 128 characters.
pub(super) const INSTANCE_LENGTH: usize = 30;

/// What the task of `attempt` says.
pub(super) fn started_by(instance: &str, attempt: AttemptKey) -> String {
    format!("{instance}/{}/{}", attempt.project, attempt.attempt)
}

/// Whose task says this, if it is one of `instance`.
pub(super) fn attempt(instance: &str, started_by: &str) -> Option<AttemptKey> {
    let rest = started_by.strip_prefix(instance)?.strip_prefix('/')?;
    let (project, attempt) = rest.split_once('/')?;
    Some(AttemptKey { project: project.parse().ok()?, attempt: attempt.parse().ok()? })
}

/// Whether this may name a deployment.
pub(super) fn is_instance(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
    (1..=INSTANCE_LENGTH).contains(&text.len()) && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{AttemptId, JobId, ProjectId};

    fn longest() -> AttemptKey {
        let job = JobId::from_bits(u128::MAX);
        AttemptKey {
            project: ProjectId::new([7; 16]),
            attempt: AttemptId { job, run: 9_999, task: 999, instance: 9_999, number: 9_999 },
        }
    }

    #[test]
    fn a_task_tells_its_attempt_to_its_own_deployment_alone() {
        let said = started_by("one", longest());
        assert_eq!(attempt("one", &said), Some(longest()));
        for other in ["on", "one1", "two", ""] {
            assert_eq!(attempt(other, &said), None, "{other}");
        }
        for strange in ["", "one", "one/", "one/x/y", "ecs-svc/1234"] {
            assert_eq!(attempt("one", strange), None, "{strange}");
        }
    }

    #[test]
    fn the_longest_name_fits() {
        let instance = "a".repeat(INSTANCE_LENGTH);
        let said = started_by(&instance, longest());
        assert!(said.len() <= 128, "{}", said.len());
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_/".contains(&b);
        assert!(said.bytes().all(allowed), "{said}");
        assert!(is_instance(&instance) && !is_instance("") && !is_instance("a b"));
        assert!(!is_instance(&"a".repeat(INSTANCE_LENGTH + 1)));
    }
}
