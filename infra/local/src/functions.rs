//! Every function, as the gateway and the host invoke them.

use shared::function::DynAction;

/// The actions of the native API, and the operator's.
pub fn api() -> Vec<Box<dyn DynAction>> {
    vec![
        Box::new(submit_job::SubmitJob),
        Box::new(get_job::GetJob),
        Box::new(list_jobs::ListJobs),
        Box::new(cancel_job::CancelJob),
        Box::new(delete_job::DeleteJob),
        Box::new(get_output::GetOutput),
        Box::new(read_logs::ReadLogs),
        Box::new(issue_token::IssueToken),
        Box::new(create_upload::CreateUpload),
        Box::new(get_object::GetObject),
        Box::new(list_objects::ListObjects),
        Box::new(delete_object::DeleteObject),
        Box::new(put_queue::PutQueue),
        Box::new(list_queues::ListQueues),
        Box::new(put_image::PutImage),
        Box::new(list_images::ListImages),
        Box::new(delete_image::DeleteImage),
        Box::new(create_key::CreateKey),
        Box::new(list_keys::ListKeys),
        Box::new(disable_key::DisableKey),
        Box::new(create_project::CreateProject),
    ]
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
