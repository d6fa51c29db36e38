//! Which action is asked for.

use serde_json::Value;
use shared::{auth::Identity, service::Service};

use crate::{
    call::Call, catalogue, envs, faults::Fault, jobs, listing, monitor, submit, tasks, templates,
    zones,
};

/// Does what is asked.
pub(crate) async fn done(service: &Service, who: Identity, call: Call) -> Result<Value, Fault> {
    zones::check_region(call.region.as_deref())?;
    match call.action.as_str() {
        "SubmitJob" => submit::job(service, who, call).await,
        "DescribeJob" => jobs::describe(service, who, call).await,
        "DescribeJobs" => listing::jobs(service, who, call).await,
        "DescribeJobSubmitInfo" => jobs::submit_info(service, who, call).await,
        "DescribeJobMonitorData" => monitor::describe(service, who, call).await,
        "TerminateJob" => jobs::terminate(service, who, call).await,
        "RetryJobs" => jobs::retry(service, who, call).await,
        "DeleteJob" => jobs::delete(service, who, call).await,
        "DescribeTask" => tasks::describe(service, who, call).await,
        "DescribeTaskLogs" => tasks::describe_logs(service, who, call).await,
        "TerminateTaskInstance" => tasks::terminate(service, who, call).await,
        "CreateTaskTemplate" => templates::create(service, who, call).await,
        "DescribeTaskTemplates" => templates::list(service, who, call).await,
        "ModifyTaskTemplate" => templates::modify(service, who, call).await,
        "DeleteTaskTemplates" => templates::delete(service, who, call).await,
        "CreateComputeEnv" => envs::create(service, who, call).await,
        "ModifyComputeEnv" => envs::modify(service, who, call).await,
        "DeleteComputeEnv" => envs::delete(service, who, call).await,
        "DescribeComputeEnv" => envs::describe(service, who, call).await,
        "DescribeComputeEnvs" => envs::list(service, who, call, false).await,
        "DescribeComputeEnvCreateInfo" => envs::create_info(service, who, call).await,
        "DescribeComputeEnvCreateInfos" => envs::list(service, who, call, true).await,
        "DescribeComputeEnvActivities" => envs::activities(service, who, call).await,
        "TerminateComputeNode"
        | "TerminateComputeNodes"
        | "AttachInstances"
        | "DetachInstances" => envs::no_nodes(service, who, call).await,
        "DescribeAvailableCvmInstanceTypes" => catalogue::types(call),
        "DescribeCvmZoneInstanceConfigInfos" => catalogue::quotas(call),
        "DescribeInstanceCategories" => catalogue::categories(call),
        other => {
            let message = format!("The action `{other}` does not exist.");
            Err(Fault::new("InvalidAction", message))
        }
    }
}
