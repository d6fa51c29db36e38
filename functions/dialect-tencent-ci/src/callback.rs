//! Who is told, as jobs and queues say it.

use serde_json::json;
use shared::{
    job::{CallbackFormat, CallbackTarget},
    wire::{
        Problem,
        callback::{CallbackChoice, CallbackSettings},
    },
};

use crate::{
    faults::Fault,
    order::{one_of, required},
    tree::Fields,
};

/// The regions that message queues can be in.
const REGIONS: [&str; 5] = ["sh", "bj", "gz", "cd", "hk"];

/// The value that keeps everybody from being told.
const NOBODY: &str = "no";

/// Whom a job's request wants told: each thing that it says goes before what
/// its queue says. `None` if it says nothing.
pub fn of_job(asked: &Fields) -> Result<Option<CallbackChoice>, Fault> {
    let format = format(asked, "CallBackFormat", "CallBackFormat")?;
    let kind = one_of(asked, "CallBackType", "CallBackType", &["Url", "TDMQ"])?;
    let address = asked.text("CallBack");
    if address == Some(NOBODY) {
        return Ok(Some(CallbackChoice::Nobody));
    }
    let to = match (kind, address) {
        (Some("TDMQ"), _) => {
            let config = asked.fields("CallBackMqConfig");
            let config = config.ok_or_else(|| {
                Fault::argument("CallBackMqConfig", "it is required where CallBackType is TDMQ")
            })?;
            message_queue(config, "CallBackMqConfig.")?
        }
        (_, Some(address)) => url("CallBack", address)?,
        (_, None) => return Ok(format.map(CallbackChoice::OfQueueIn)),
    };
    Ok(Some(CallbackChoice::Own(settings(to, format))))
}

/// Whom a queue's configuration wants told.
pub fn of_queue(notify: &Fields) -> Result<CallbackChoice, Fault> {
    let called = |name: &str| format!("NotifyConfig.{name}");
    let state = one_of(notify, "State", &called("State"), &["On", "Off"])?;
    let format = format(notify, "ResultFormat", &called("ResultFormat"))?;
    let kind = one_of(notify, "Type", &called("Type"), &["Url", "TDMQ"])?;
    let events = events(notify)?;
    if state != Some("On") {
        return Ok(CallbackChoice::Nobody);
    }
    if events.is_empty() {
        return Err(Fault::argument(&called("Event"), "it is required where State is On"));
    }
    let to = match kind {
        Some("TDMQ") => message_queue(notify, "NotifyConfig.")?,
        Some(_) => url(&called("Url"), required(notify, "Url", &called("Url"))?)?,
        None => return Err(Fault::argument(&called("Type"), "it is required where State is On")),
    };
    if !events.contains(&"TaskFinish") {
        return Ok(CallbackChoice::Nobody);
    }
    Ok(CallbackChoice::Own(settings(to, format)))
}

/// The events that a queue's configuration names.
fn events(notify: &Fields) -> Result<Vec<&str>, Fault> {
    let events: Vec<_> =
        notify.text("Event").unwrap_or_default().split(',').map(str::trim).collect();
    let events: Vec<_> = events.into_iter().filter(|event| !event.is_empty()).collect();
    if events.iter().all(|event| ["TaskFinish", "WorkflowFinish"].contains(event)) {
        return Ok(events);
    }
    let rule = "its events are TaskFinish and WorkflowFinish, joined by commas";
    Err(Fault::argument("NotifyConfig.Event", rule))
}

fn settings(to: CallbackTarget, format: Option<CallbackFormat>) -> CallbackSettings {
    let format = format.unwrap_or(CallbackFormat::Xml);
    CallbackSettings { to, secrets: Vec::new(), started: false, format }
}

fn format(fields: &Fields, name: &str, called: &str) -> Result<Option<CallbackFormat>, Fault> {
    let word = one_of(fields, name, called, &["JSON", "XML"])?;
    Ok(word.map(|word| if word == "JSON" { CallbackFormat::Json } else { CallbackFormat::Xml }))
}

/// An address that can be asked at all; what is behind it is looked at when it
/// is.
fn url(called: &str, address: &str) -> Result<CallbackTarget, Fault> {
    match CallbackChoice::parse(Some(json!({ "url": address }))) {
        Ok(CallbackChoice::Own(checked)) => Ok(checked.to),
        Ok(_) => Err(Fault::argument(called, "it is no address")),
        Err(Problem::Invalid { rule, .. }) => Err(Fault::argument(called, &rule)),
        Err(problem) => Err(problem.into()),
    }
}

/// A message queue by its name, which is one that the operator allows.
fn message_queue(fields: &Fields, prefix: &str) -> Result<CallbackTarget, Fault> {
    let called = |name: &str| format!("{prefix}{name}");
    required(fields, "MqRegion", &called("MqRegion"))?;
    one_of(fields, "MqRegion", &called("MqRegion"), &REGIONS)?;
    one_of(fields, "MqMode", &called("MqMode"), &["Queue", "Topic"])?;
    let name = required(fields, "MqName", &called("MqName"))?;
    let name = name.parse().map_err(|_| {
        let rule = "no message queue of this name is allowed here";
        Fault::argument(&called("MqName"), rule)
    })?;
    Ok(CallbackTarget::MessageQueue(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(xml: &str) -> Result<Option<CallbackChoice>, String> {
        let asked = Fields::read("R", format!("<R>{xml}</R>").as_bytes()).unwrap();
        of_job(&asked).map_err(|fault| fault.message)
    }

    fn queue(xml: &str) -> Result<CallbackChoice, String> {
        let asked = Fields::read("R", format!("<R>{xml}</R>").as_bytes()).unwrap();
        of_queue(&asked).map_err(|fault| fault.message)
    }

    fn own(to: CallbackTarget, format: CallbackFormat) -> CallbackChoice {
        CallbackChoice::Own(settings(to, Some(format)))
    }

    fn hook() -> CallbackTarget {
        CallbackTarget::Url("http://a.example/".into())
    }

    fn mq() -> CallbackTarget {
        CallbackTarget::MessageQueue("news".parse().unwrap())
    }

    #[test]
    fn what_a_job_says_goes_before_its_queue() {
        let address = "<CallBack>http://a.example/</CallBack>";
        let topic = "<CallBackType>TDMQ</CallBackType><CallBackMqConfig><MqRegion>gz</MqRegion>\
                     <MqName>news</MqName></CallBackMqConfig>";
        let json = "<CallBackFormat>JSON</CallBackFormat>";
        for (xml, expected) in [
            (String::new(), None),
            ("<CallBackType>Url</CallBackType>".into(), None),
            (address.into(), Some(own(hook(), CallbackFormat::Xml))),
            (format!("{address}{json}"), Some(own(hook(), CallbackFormat::Json))),
            (json.into(), Some(CallbackChoice::OfQueueIn(CallbackFormat::Json))),
            (topic.into(), Some(own(mq(), CallbackFormat::Xml))),
            (format!("{topic}{address}{json}"), Some(own(mq(), CallbackFormat::Json))),
            ("<CallBack>no</CallBack>".into(), Some(CallbackChoice::Nobody)),
            (format!("{topic}<CallBack>no</CallBack>"), Some(CallbackChoice::Nobody)),
        ] {
            assert_eq!(job(&xml).unwrap(), expected, "{xml}");
        }
    }

    #[test]
    fn a_queue_tells_of_what_it_is_set_to() {
        let on = "<State>On</State><Event>TaskFinish,WorkflowFinish</Event><Type>Url</Type>\
                  <Url>http://a.example/</Url>";
        let topic = "<State>On</State><Event>TaskFinish</Event><Type>TDMQ</Type>\
                     <MqMode>Topic</MqMode><MqRegion>sh</MqRegion><MqName>news</MqName>";
        for (xml, expected) in [
            (String::new(), CallbackChoice::Nobody),
            ("<State>Off</State><Url>http://a.example/</Url>".into(), CallbackChoice::Nobody),
            (on.into(), own(hook(), CallbackFormat::Xml)),
            (format!("{on}<ResultFormat>JSON</ResultFormat>"), own(hook(), CallbackFormat::Json)),
            (topic.into(), own(mq(), CallbackFormat::Xml)),
            (on.replace("TaskFinish,", ""), CallbackChoice::Nobody),
        ] {
            assert_eq!(queue(&xml).unwrap(), expected, "{xml}");
        }
    }

    #[test]
    fn what_cannot_be_told_is_refused_by_its_name() {
        for (xml, why) in [
            ("<CallBack>ftp://a</CallBack>", "CallBack: it is an absolute URL"),
            ("<CallBackFormat>YAML</CallBackFormat>", "CallBackFormat: it is one of"),
            ("<CallBackType>SMS</CallBackType>", "CallBackType: it is one of"),
            ("<CallBackType>TDMQ</CallBackType>", "CallBackMqConfig: it is required"),
        ] {
            assert!(job(xml).unwrap_err().contains(why), "{xml}");
        }
        let mq = "<State>On</State><Event>TaskFinish</Event><Type>TDMQ</Type>";
        for (xml, why) in [
            ("<State>Perhaps</State>".to_owned(), "NotifyConfig.State: it is one of"),
            ("<State>On</State>".into(), "NotifyConfig.Event: it is required"),
            ("<State>On</State><Event>Lunch</Event>".into(), "NotifyConfig.Event: its events"),
            (
                "<State>On</State><Event>TaskFinish</Event>".into(),
                "NotifyConfig.Type: it is required",
            ),
            (mq.into(), "NotifyConfig.MqRegion: it is required"),
            (format!("{mq}<MqRegion>mars</MqRegion>"), "NotifyConfig.MqRegion: it is one of"),
            (format!("{mq}<MqRegion>sh</MqRegion>"), "NotifyConfig.MqName: it is required"),
        ] {
            assert!(queue(&xml).unwrap_err().contains(why), "{xml}");
        }
        let no_url = "<State>On</State><Event>TaskFinish</Event><Type>Url</Type>";
        assert!(queue(no_url).unwrap_err().contains("NotifyConfig.Url: it is required"));
    }
}
