//! From a parsed command to an exit code.

use std::{process::ExitCode, sync::Arc};

use super::{
    Command, attempts, callbacks, cancel, delete, images, interrupts::Interrupts, jobs, keys, logs,
    objects, output, problem::Failure, queues, retry, run, screen::Screen, session::Session, show,
    submit, templates, token, triggers, verdict, wait,
};

/// Runs a command to its end.
pub async fn execute(command: Command) -> ExitCode {
    let screen = Arc::new(Screen::own(command.common().quiet));
    let ours = command.own_failure();
    let outcome = async {
        let session = Session::open(command.common(), screen.clone())?;
        let interrupts = Interrupts::listen_for(&command)?;
        // On the heap: it is as large as the largest command.
        Box::pin(command.perform(&session, interrupts)).await
    };
    ExitCode::from(match outcome.await {
        Ok(code) => code,
        // Whoever reads us has what they wanted, as in `tarpon jobs | head`.
        Err(Failure::OutputClosed) => 0,
        Err(failure @ Failure::Interrupted(_)) => {
            screen.warn(&failure.to_string());
            verdict::INTERRUPTED
        }
        Err(failure) => {
            screen.warn(&failure.told());
            ours
        }
    })
}

impl Interrupts {
    /// Only `run` does more at Ctrl-C than to end.
    fn listen_for(command: &Command) -> Result<Option<Self>, Failure> {
        match command {
            Command::Run(_) => Interrupts::listen().map(Some),
            _ => Ok(None),
        }
    }
}

impl Command {
    /// The exit code for a failure that is ours and no job's.
    fn own_failure(&self) -> u8 {
        match self {
            Command::Run(_) | Command::Wait(_) => verdict::OWN_FAILURE,
            Command::Submit(args) if args.waits() => verdict::OWN_FAILURE,
            _ => 1,
        }
    }

    /// Does it. The exit code is a job's where the command stands for one.
    pub(super) async fn perform(
        self,
        session: &Session,
        interrupts: Option<Interrupts>,
    ) -> Result<u8, Failure> {
        match self {
            Command::Submit(args) => return submit::perform(session, args).await,
            Command::Run(args) => return run::perform(session, args, interrupts).await,
            Command::Wait(args) => return wait::perform(session, args).await,
            Command::Cancel(args) => return cancel::perform(session, args).await,
            Command::Retry(args) => return retry::perform(session, args).await,
            Command::Delete(args) => return delete::perform(session, args).await,
            Command::Jobs(args) => jobs::perform(session, args).await,
            Command::Show(args) => show::perform(session, args).await,
            Command::Attempts(args) => attempts::perform(session, args).await,
            Command::Logs(args) => logs::perform(session, args).await,
            Command::Output(args) => output::perform(session, args).await,
            Command::Callbacks(args) => callbacks::perform(session, args).await,
            Command::Queues(args) => queues::perform(session, args).await,
            Command::Images(args) => images::perform(session, args).await,
            Command::Templates(args) => templates::perform(session, args).await,
            Command::Triggers(args) => triggers::perform(session, args).await,
            Command::Objects(args) => objects::perform(session, args).await,
            Command::Keys(args) => keys::perform(session, args).await,
            Command::Token(args) => token::perform(session, args).await,
        }?;
        Ok(0)
    }
}
