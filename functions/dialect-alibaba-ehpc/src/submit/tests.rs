//! What may be asked of a job, and what may not.

use super::*;

fn of(pairs: &[(&str, &str)]) -> Result<(JobRequest, TaskRequest), Fault> {
    let mut all = vec![("JobName".to_owned(), "a".to_owned())];
    if !pairs.iter().any(|(name, _)| *name == "Container") {
        all.push(("Container".into(), r#"{"Image": "a"}"#.into()));
    }
    all.extend(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    asked(&Parameters::new(all))
}

fn retried(json: &str) -> (u32, Vec<i32>) {
    let (_, task) = of(&[("RetryStrategy", json)]).unwrap();
    (task.retry.max_attempts.unwrap(), task.retry.exit_codes)
}

#[test]
fn a_container_is_an_image_with_its_command_and_environment() {
    let container = r#"{"Image": "a", "Command": ["/bin/sh"], "Arg": ["-c", "x"],
        "EnvironmentVar": [{"Key": "A", "Value": "1"}, {"Key": "B"}], "WorkingDir": "/w",
        "VolumeMount": [], "Gpu": 0}"#;
    let more = [("Cpu", "0.5"), ("Memory", "1.5"), ("JobPriority", "999"), ("Timeout", "60")];
    let pairs = [&[("Container", container)][..], &more].concat();
    let (job, task) = of(&pairs).unwrap();
    assert_eq!((job.name.as_deref(), job.priority), (Some("a"), 999));
    assert_eq!(task.entrypoint.unwrap(), ["/bin/sh"]);
    assert_eq!(task.command.unwrap(), ["-c", "x"]);
    assert_eq!((task.env["A"].as_str(), task.env["B"].as_str()), ("1", ""));
    assert_eq!(task.workdir.as_deref(), Some("/w"));
    assert_eq!(task.resources, ResourcesRequest { cpu: Some(0.5), memory_mib: Some(1_536) });
    assert_eq!(task.timeout_seconds, Some(60));
    assert!(task.instances.is_none() && task.index.is_none());
}

#[test]
fn an_array_counts_as_it_is_told_to() {
    for (json, first, step, count) in [
        (r#"{"IndexStart": 1, "IndexEnd": 5, "IndexStep": 2}"#, 1, 2, 3),
        (r#"{"IndexStart": 1, "IndexEnd": 6, "IndexStep": 2}"#, 1, 2, 3),
        (r#"{"IndexStart": "0", "IndexEnd": "4999"}"#, 0, 1, 5_000),
        (r#"{"IndexStart": 7, "IndexEnd": 7}"#, 7, 1, 1),
    ] {
        let (_, task) = of(&[("ArrayProperties", json)]).unwrap();
        let index = task.index.unwrap();
        assert_eq!(index.name, "EHPC_ARRAY_TASK_ID");
        assert_eq!((index.first, index.step, task.instances), (first, Some(step), Some(count)));
    }
}

#[test]
fn the_first_rule_for_an_exit_code_decides() {
    assert_eq!(retried(r#"{"Attempts": 3}"#), (4, vec![]));
    let only = r#"{"Attempts": 1, "EvaluateOnExit": [{"Action": "Retry", "OnExitCode": "3"},
        {"Action": "Exit", "OnExitCode": 3}, {"Action": "Retry", "OnExitCode": 255}]}"#;
    assert_eq!(retried(only), (2, vec![3, 255]));
    let but = r#"{"Attempts": 10, "EvaluateOnExit": [{"Action": "Exit", "OnExitCode": 7}]}"#;
    let (attempts, codes) = retried(but);
    assert_eq!((attempts, codes.len(), codes.contains(&7)), (11, 254, false));
    let never = r#"{"Attempts": 2, "EvaluateOnExit": [{"Action": "Exit", "OnExitCode": 3},
        {"Action": "Retry", "OnExitCode": 3}]}"#;
    assert_eq!(retried(never), (1, vec![]));
}

#[test]
fn what_breaks_a_rule_is_refused_by_its_name() {
    let long = format!(r#"{{"Image": "a", "Arg": {:?}}}"#, ["x"; 11]);
    for (name, value, field, why) in [
        ("JobName", "", "", "mandatory"),
        ("JobName", "Upper", "JobName", "lower-case"),
        ("JobName", "a-", "JobName", "hyphen"),
        ("Container", "{", "Container", "EOF"),
        ("Container", "{}", "Container", "missing field `Image`"),
        ("Container", r#"{"Image": "a", "Tty": true}"#, "Container", "unknown field `Tty`"),
        ("Container", &long, "Container.Arg", "at most 10"),
        (
            "Container",
            r#"{"Image": "a", "EnvironmentVar": [{"Key": "1A"}]}"#,
            "Container.EnvironmentVar",
            "no digit",
        ),
        (
            "Container",
            r#"{"Image": "a", "EnvironmentVar": [{"Key": "A"}, {"Key": "A"}]}"#,
            "Container.EnvironmentVar",
            "twice",
        ),
        ("JobPriority", "1000", "JobPriority", "0 to 999"),
        ("Timeout", "0", "Timeout", "1 to"),
        ("Cpu", "x", "Cpu", "no number"),
        (
            "ArrayProperties",
            r#"{"IndexStart": 3, "IndexEnd": 2}"#,
            "ArrayProperties.IndexEnd",
            "3 to 4999",
        ),
        (
            "ArrayProperties",
            r#"{"IndexStart": 0, "IndexEnd": 2, "IndexStep": 0}"#,
            "ArrayProperties.IndexStep",
            "1 to",
        ),
        ("ArrayProperties", r#"{"IndexStart": 0}"#, "ArrayProperties", "missing field"),
        ("RetryStrategy", r#"{"Attempts": 11}"#, "RetryStrategy.Attempts", "1 to 10"),
        (
            "RetryStrategy",
            r#"{"EvaluateOnExit": [{"Action": "Retry", "OnExitCode": 0}]}"#,
            "RetryStrategy.EvaluateOnExit.OnExitCode",
            "success",
        ),
        (
            "RetryStrategy",
            r#"{"EvaluateOnExit": [{"Action": "Wait", "OnExitCode": 1}]}"#,
            "RetryStrategy",
            "unknown variant",
        ),
    ] {
        let pairs = if name == "JobName" { vec![] } else { vec![(name, value)] };
        let fault = if name == "JobName" {
            let container = ("Container".to_owned(), r#"{"Image": "a"}"#.to_owned());
            let all = vec![("JobName".to_owned(), value.to_owned()), container];
            asked(&Parameters::new(all)).unwrap_err()
        } else {
            of(&pairs).unwrap_err()
        };
        assert!(fault.message.contains(field), "{value}: {}", fault.message);
        assert!(fault.message.contains(why), "{value}: {}", fault.message);
    }
}

#[test]
fn what_no_platform_has_is_refused_with_the_reason() {
    let gpu = r#"{"Image": "a", "Gpu": 1}"#;
    let volume = r#"{"Image": "a", "VolumeMount": [{"MountPath": "/x"}]}"#;
    for (name, value, field) in [
        ("DependsOn", r#"[{"JobId": "5"}]"#, "DependsOn"),
        ("Container", gpu, "Container.Gpu"),
        ("Container", volume, "Container.VolumeMount"),
        ("EphemeralStorage", "10", "EphemeralStorage"),
        ("InstanceType", r#"["ecs.g5.large"]"#, "InstanceType"),
        ("RamRoleName", "role", "RamRoleName"),
        ("SpotStrategy", "SpotAsPriceGo", "SpotStrategy"),
        ("SpotPriceLimit", "0.5", "SpotPriceLimit"),
        ("VSwitchId", r#"["vsw-1"]"#, "VSwitchId"),
    ] {
        let fault = of(&[(name, value)]).unwrap_err();
        assert_eq!(fault.code, "InvalidParams");
        assert!(fault.message.contains(&format!("{field} is invalid: ")), "{}", fault.message);
    }
    let nothing = [
        ("DependsOn", "[]"),
        ("EphemeralStorage", "0"),
        ("InstanceType", "[]"),
        ("SpotStrategy", "NoSpot"),
        ("VSwitchId", "[]"),
    ];
    assert!(of(&nothing).is_ok(), "what asks for nothing is no reason to refuse");
}
