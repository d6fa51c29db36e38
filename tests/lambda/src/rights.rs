//! Whether calls are within what a function's role allows.

use std::collections::BTreeMap;

use crate::{
    call::{Call, HERE},
    template::{self, Statement},
};

/// What the template's names stand for in an installation.
#[derive(Clone, Debug)]
pub struct Names(BTreeMap<&'static str, String>);

impl Names {
    /// Of these: the table's, the bucket's and the cluster's names, the master
    /// key's ARN and the execution role's.
    pub fn new(table: &str, bucket: &str, cluster: &str, master_key: &str, role: &str) -> Self {
        Names(BTreeMap::from([
            ("Table.Arn", format!("arn:aws:dynamodb:{HERE}:table/{table}")),
            ("Bucket.Arn", format!("arn:aws:s3:::{bucket}")),
            ("Cluster", cluster.to_owned()),
            ("Cluster.Arn", format!("arn:aws:ecs:{HERE}:cluster/{cluster}")),
            ("MasterKey.Id", master_key.to_owned()),
            ("ExecutionRole.Arn", role.to_owned()),
            ("AWS::Partition", "aws".to_owned()),
            ("AWS::Region", "us-east-1".to_owned()),
            ("AWS::AccountId", "000000000000".to_owned()),
            ("AWS::StackName", crate::STACK.to_owned()),
        ]))
    }

    /// What `name` stands for.
    pub fn get(&self, name: &str) -> &str {
        // What is not here, no call is about.
        self.0.get(name).map_or("", String::as_str)
    }

    /// A resource as the template writes it, as IAM sees it.
    fn resource(&self, written: &str) -> String {
        if let Some(name) = written.strip_prefix("!GetAtt ") {
            return self.get(name).to_owned();
        }
        let text = written.strip_prefix("!Sub ").unwrap_or(written).trim_matches('"');
        let mut parts = text.split("${");
        let mut resource = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (name, rest) = part.split_once('}').unwrap_or((part, ""));
            resource.push_str(self.get(name));
            resource.push_str(rest);
        }
        resource
    }

    /// What the function of this id would have been refused, in words.
    pub fn refused(&self, id: &str, calls: &[Call]) -> Vec<String> {
        let statements = template::statements(id);
        let resources: Vec<_> =
            statements.iter().map(|it| (it, self.resource(&it.resource))).collect();
        let mut refused = Vec::new();
        for call in calls {
            for (action, on) in &call.needs {
                let allows = |(statement, resource): &(&Statement, String)| {
                    statement.actions.contains(action)
                        && is_like(on, resource)
                        && (!statement.in_cluster || self.is_ours(call))
                };
                if !resources.iter().any(allows) {
                    refused.push(format!("{id}: {action} on {on} ({})", call.operation));
                }
            }
        }
        refused
    }

    fn is_ours(&self, call: &Call) -> bool {
        let named = call.cluster.as_deref();
        named == Some(self.get("Cluster")) || named == Some(self.get("Cluster.Arn"))
    }
}

/// Whether a text is like a pattern, whose `*` stands for anything.
fn is_like(text: &str, pattern: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else { return text == pattern };
    let Some(rest) = text.strip_prefix(before) else { return false };
    // Any place where the rest fits, nothing left out included.
    let places = rest.char_indices().map(|(place, _)| place).chain([rest.len()]);
    places.into_iter().any(|place| is_like(&rest[place..], after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names::new("t", "b", "c", "arn:key", "arn:role")
    }

    fn call(action: &str, resource: &str) -> Call {
        Call {
            operation: "Some".into(),
            needs: vec![(action.into(), resource.into())],
            cluster: None,
            changes: false,
            by_url: false,
        }
    }

    #[test]
    fn what_no_statement_allows_is_refused() {
        let table = "arn:aws:dynamodb:us-east-1:000000000000:table/t";
        let refused = |action: &str, resource: &str| {
            names().refused("GetJob", &[call(action, resource)]).len()
        };
        assert_eq!(refused("dynamodb:GetItem", table), 0);
        assert_eq!(refused("dynamodb:UpdateItem", table), 1);
        assert_eq!(refused("dynamodb:GetItem", &format!("{table}2")), 1);
        assert_eq!(refused("dynamodb:Query", &format!("{table}/index/due")), 0);
        assert_eq!(refused("s3:GetObject", "arn:aws:s3:::b/p/job/x"), 1);
        let archive = call("s3:GetObject", "arn:aws:s3:::b/p/job/x");
        assert_eq!(names().refused("GetOutput", &[archive]), Vec::<String>::new());
        let upload = call("s3:GetObject", "arn:aws:s3:::b/p/upload/x");
        assert_eq!(names().refused("GetOutput", &[upload]).len(), 1);
    }

    #[test]
    fn another_cluster_is_out_of_reach() {
        let task = "arn:aws:ecs:us-east-1:000000000000:task/c/1";
        let mut stop = call("ecs:StopTask", task);
        assert_eq!(names().refused("SweepJobs", std::slice::from_ref(&stop)).len(), 1);
        stop.cluster = Some("c".into());
        assert_eq!(names().refused("SweepJobs", &[stop]).len(), 0);
    }

    #[test]
    fn a_star_stands_for_anything() {
        for (text, pattern, fits) in [
            ("a/b/c", "a/*", true),
            ("a/b/c", "a/*/c", true),
            ("a/b/d", "a/*/c", false),
            ("ab", "a*b", true),
            ("a", "a*b", false),
            ("a", "*", true),
        ] {
            assert_eq!(is_like(text, pattern), fits, "{text} like {pattern}");
        }
    }
}
