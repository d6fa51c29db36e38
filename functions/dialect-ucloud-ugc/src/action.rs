//! The actions of the API.

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A token for the task plane.
    GetAccessToken,
    /// Runs a container.
    SubmitTask,
    /// What a task has left.
    GetTaskResult,
    /// Ends a task.
    StopTask,
    /// What is known of a task.
    GetTaskDetail,
    /// Tasks, newest first.
    GetTaskList,
    /// A place for images.
    CreateDockerImageBucket,
    /// The places for images.
    GetImageBucketList,
    /// What is in one of them.
    GetDockerImageList,
    /// What is in all of them.
    GetAllImages,
    /// Takes images out of one.
    DeleteImage,
}

impl Action {
    const ALL: [Action; 11] = [
        Action::GetAccessToken,
        Action::SubmitTask,
        Action::GetTaskResult,
        Action::StopTask,
        Action::GetTaskDetail,
        Action::GetTaskList,
        Action::CreateDockerImageBucket,
        Action::GetImageBucketList,
        Action::GetDockerImageList,
        Action::GetAllImages,
        Action::DeleteImage,
    ];

    /// The action of that name.
    pub fn named(name: &str) -> Option<Self> {
        Action::ALL.into_iter().find(|action| action.name() == name)
    }

    fn name(self) -> &'static str {
        self.answer().strip_suffix("Response").expect("every answer is called so")
    }

    /// What its answers say that they are.
    pub fn answer(self) -> &'static str {
        match self {
            Action::GetAccessToken => "GetAccessTokenResponse",
            Action::SubmitTask => "SubmitTaskResponse",
            Action::GetTaskResult => "GetTaskResultResponse",
            Action::StopTask => "StopTaskResponse",
            Action::GetTaskDetail => "GetTaskDetailResponse",
            Action::GetTaskList => "GetTaskListResponse",
            Action::CreateDockerImageBucket => "CreateDockerImageBucketResponse",
            Action::GetImageBucketList => "GetImageBucketListResponse",
            Action::GetDockerImageList => "GetDockerImageListResponse",
            Action::GetAllImages => "GetAllImagesResponse",
            Action::DeleteImage => "DeleteImageResponse",
        }
    }

    /// Whether callers show a token, and not a signature.
    pub fn is_of_task_plane(self) -> bool {
        match self {
            Action::SubmitTask | Action::GetTaskResult | Action::StopTask => true,
            Action::GetAccessToken
            | Action::GetTaskDetail
            | Action::GetTaskList
            | Action::CreateDockerImageBucket
            | Action::GetImageBucketList
            | Action::GetDockerImageList
            | Action::GetAllImages
            | Action::DeleteImage => false,
        }
    }

    /// Whether it is asked with a region. There is but one here; yet what is
    /// missing there is missing here.
    pub fn has_region(self) -> bool {
        self != Action::GetTaskResult
    }
}
