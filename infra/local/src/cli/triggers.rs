//! `tarpon triggers`: jobs that are submitted when something happens.

use serde::Deserialize;

use super::{
    Common,
    client::Repeat,
    problem::Failure,
    saved::{self, Action},
    session::Session,
    table::{Table, ago},
    views::{Trigger, Triggers},
};

/// Where they are.
const KIND: &str = "triggers";

/// Submit jobs when something happens: an object is written, a time comes, an
/// event is posted
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  tarpon triggers
  tarpon triggers put thumbnails thumbnails.json
  tarpon triggers show thumbnails
  tarpon triggers rm thumbnails

thumbnails.json:
  {\"on\": {\"object\": {\"bucket\": \"photos\", \"glob\": \"in/**/*.jpg\"}},
   \"template\": \"thumbnail\", \"parameters\": {\"input\": \"${event.data.object}\"}}

Other things to wait for:
  {\"schedule\": {\"cron\": \"0 3 * * mon-fri\", \"time_zone\": \"Europe/Berlin\"}}
  {\"event\": {\"type\": \"order.paid\", \"source\": \"/shop/*\"}}

A trigger is switched off by saving it with \"enabled\": false.")]
pub struct Args {
    #[command(subcommand)]
    pub action: Option<Action>,

    #[command(flatten)]
    pub common: Common,
}

/// Does it.
pub async fn perform(session: &Session, args: Args) -> Result<(), Failure> {
    match args.action.unwrap_or(Action::Ls) {
        Action::Ls => list(session).await,
        Action::Put { name, file } => {
            let put = saved::put::<Trigger>(session, KIND, &name, &file).await?;
            if session.json {
                return session.screen.json(&put.json);
            }
            let Trigger { name, next_at, .. } = put.value;
            let next = next_at.map_or_else(String::new, |next| format!(", next at {next}"));
            session.screen.line(&format!("trigger {name} is saved{next}"))
        }
        Action::Show { name } => saved::show(session, KIND, &name).await,
        Action::Rm { name } => saved::forget(session, KIND, &name).await,
    }
}

async fn list(session: &Session) -> Result<(), Failure> {
    let request = session.client.get(&["v1", "triggers"])?;
    let list = session.client.json::<Triggers>(request, Repeat::Safe).await?.value;
    let mut table = Table::new(&["NAME", "STATE", "ON", "TEMPLATE", "FIRED", "LAST ERROR"]);
    for trigger in &list.triggers {
        if session.json {
            session.screen.json(trigger)?;
            continue;
        }
        let trigger =
            Trigger::deserialize(trigger).map_err(|error| Failure::Answer(error.to_string()))?;
        table.row([
            trigger.name,
            if trigger.enabled { "active" } else { "off" }.to_owned(),
            trigger.on.keys().next().cloned().unwrap_or_default(),
            trigger.template,
            trigger.last_fired.map(|fired| ago(fired.at, session.now)).unwrap_or_default(),
            trigger.last_error.map(|failed| failed.error).unwrap_or_default(),
        ]);
    }
    match (session.json, table.is_empty()) {
        (true, _) => Ok(()),
        (false, true) => {
            session.screen.note("there are no triggers");
            Ok(())
        }
        (false, false) => session.screen.print(table.render().as_bytes()),
    }
}
