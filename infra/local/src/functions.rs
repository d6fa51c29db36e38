//! Every function, as the gateway and the host invoke them.

use shared::{dialect::DynDialect, function::DynAction};

/// The actions of the native API, and the operator's.
pub fn api() -> Vec<Box<dyn DynAction>> {
    vec![
        Box::new(submit_job::SubmitJob),
        Box::new(try_job::TryJob),
        Box::new(get_job::GetJob),
        Box::new(list_jobs::ListJobs),
        Box::new(cancel_job::CancelJob),
        Box::new(retry_job::RetryJob),
        Box::new(change_jobs::ChangeJobs),
        Box::new(delete_job::DeleteJob),
        Box::new(get_output::GetOutput),
        Box::new(list_attempts::ListAttempts),
        Box::new(read_logs::ReadLogs),
        Box::new(list_callbacks::ListCallbacks),
        Box::new(redeliver_callback::RedeliverCallback),
        Box::new(issue_token::IssueToken),
        Box::new(create_upload::CreateUpload),
        Box::new(get_object::GetObject),
        Box::new(list_objects::ListObjects),
        Box::new(delete_object::DeleteObject),
        Box::new(put_queue::PutQueue),
        Box::new(list_queues::ListQueues),
        Box::new(delete_queue::DeleteQueue),
        Box::new(put_image::PutImage),
        Box::new(list_images::ListImages),
        Box::new(delete_image::DeleteImage),
        Box::new(put_template::PutTemplate),
        Box::new(get_template::GetTemplate),
        Box::new(list_templates::ListTemplates),
        Box::new(delete_template::DeleteTemplate),
        Box::new(put_trigger::PutTrigger),
        Box::new(get_trigger::GetTrigger),
        Box::new(list_triggers::ListTriggers),
        Box::new(delete_trigger::DeleteTrigger),
        Box::new(post_event::PostEvent),
        Box::new(create_key::CreateKey),
        Box::new(list_keys::ListKeys),
        Box::new(disable_key::DisableKey),
        Box::new(create_project::CreateProject),
        Box::new(describe_api::DescribeApi),
        Box::new(get_health::GetHealth),
    ]
}

/// The foreign APIs that share the address with the native one.
pub fn dialects() -> Vec<Box<dyn DynDialect>> {
    vec![Box::new(dialect_alibaba_ehpc::AlibabaEhpc)]
}

/// What the agent calls.
pub fn agent() -> Vec<Box<dyn DynAction>> {
    vec![
        Box::new(read_plan::ReadPlan),
        Box::new(append_logs::AppendLogs),
        Box::new(grant_upload::GrantUpload),
        Box::new(report_attempt::ReportAttempt),
    ]
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use shared::wire::openapi;

    use super::*;

    const TEMPLATE: &str = include_str!("../../aws/template.yaml");

    /// The functions that IAM alone lets anybody invoke.
    const UNROUTED: [&str; 1] = ["create-project"];

    fn identifier(name: &str) -> String {
        let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
        name.split('-').map(capital).collect()
    }

    fn count(text: &str) -> usize {
        TEMPLATE.matches(text).count()
    }

    #[test]
    fn every_action_is_described() {
        let api = api();
        let ours = openapi::document(api.iter().map(AsRef::as_ref));
        let told: serde_json::Value = serde_json::from_slice(&describe_api::document()).unwrap();
        assert_eq!(told, ours, "describe-api lists every action, too");
    }

    #[test]
    fn every_folder_is_a_function_of_the_template() {
        let folders = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../functions"));
        let folders = folders.unwrap().map(Result::unwrap).filter(|entry| entry.path().is_dir());
        let names: Vec<_> = folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
        for name in &names {
            let id = identifier(name);
            assert_eq!(
                count(&format!("  {id}:\n    Type: AWS::Serverless::Function\n")),
                1,
                "{id}"
            );
            assert_eq!(count(&format!("target/lambda/{name}.zip\n")), 1, "{name}");
            assert_eq!(count(&format!("Role: !GetAtt {id}Role.Arn\n")), 1, "{id} has its own role");
        }
        assert_eq!(count("Type: AWS::Serverless::Function\n"), names.len());
    }

    #[test]
    fn every_action_has_its_route_in_the_template() {
        let mut routes = 0;
        for action in api().iter().chain(&agent()) {
            let (id, route) = (identifier(action.name()), action.route());
            let path = route.path.replace("{*key}", "{key+}");
            let said = |method: &str| {
                let target = format!("integrations/${{{id}Integration}}");
                count(&format!("RouteKey: \"{method} {path}\", Target: !Sub \"{target}\""))
            };
            let expected = usize::from(!UNROUTED.contains(&action.name()));
            assert_eq!(said(route.method.as_str()), expected, "{}", action.name());
            routes += expected + said("HEAD");
        }
        assert_eq!(count("RouteKey: \""), routes, "no route leads to anything else");
    }

    #[test]
    fn no_role_may_do_everything() {
        for line in TEMPLATE.lines().filter(|line| line.contains("Effect: Allow")) {
            let actions =
                line.split("Action: ").nth(1).and_then(|rest| rest.split("Resource").next());
            let wide = actions.is_some_and(|actions| actions.contains('*'));
            assert!(!wide, "{line}");
        }
        let wide = "Resource: \"*\"";
        let allowed = ["ecr:GetAuthorizationToken", "ecs:ListTasks", "ecs:DescribeTaskDefinition"];
        for line in TEMPLATE.lines().filter(|line| line.contains(wide)) {
            let is_known = allowed.iter().any(|action| line.contains(&format!("[{action}")));
            assert!(is_known || line.trim() == wide, "{line}");
        }
        assert_eq!(count(&format!("\n                {wide}\n")), 1, "the execution role's token");
    }

    #[test]
    fn what_stand_ins_drop_is_in_the_template() {
        for text in [
            "TimeToLiveSpecification: { AttributeName: t, Enabled: true }",
            "PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true }",
            "AbortIncompleteMultipartUpload: { DaysAfterInitiation: 2 }",
            "Prefix: passing/\n            ExpirationInDays: 1",
            "BlockPublicPolicy: true",
            "ExcludePunctuation: true",
            "MaximumRetryAttempts: 3",
            "BisectBatchOnFunctionError: true",
            "Default: aws.ecs\n",
        ] {
            assert!(TEMPLATE.contains(text), "{text}");
        }
        assert_eq!(count("ReservedConcurrentExecutions:"), agent().len());
        assert_eq!(count("Action: lambda:InvokeFunctionUrl"), count("InvokedViaFunctionUrl: true"));
    }
}
