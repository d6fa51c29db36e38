//! What clients change of what is there.

use cancel_job::CancelJob;
use change_jobs::ChangeJobs;
use delete_job::DeleteJob;
use put_queue::PutQueue;
use redeliver_callback::RedeliverCallback;
use retry_job::RetryJob;
use serde_json::{Value, json};

use super::{Client, QUEUES};
use crate::{ask::Ask, specs};

impl Client {
    pub(super) async fn cancel(&mut self) {
        let Some((place, id)) = self.some() else { return };
        let answer = self.insist(&Ask::of(CancelJob, &format!("/v1/jobs/{id}/cancel"))).await;
        self.is_there(place, answer.as_ref());
    }

    /// Another run, of the first: asked for again, it is the same.
    pub(super) async fn retry(&mut self) {
        let Some((place, id)) = self.some() else { return };
        let all = self.host.sim.chance(300);
        let ask = Ask::of(RetryJob, &format!("/v1/jobs/{id}/retry"));
        let answer = self.insist(&ask.json(&json!({"all": all, "run": 1}))).await;
        self.is_there(place, answer.as_ref());
    }

    pub(super) async fn delete(&mut self) {
        let Some((place, id)) = self.some() else { return };
        // Also where the answer is lost.
        self.mine[place].removed = true;
        let answer = self.insist(&Ask::of(DeleteJob, &format!("/v1/jobs/{id}"))).await;
        if answer.is_some_and(|answer| answer.status == 409) {
            self.cancel().await;
        }
    }

    /// The same to all jobs of its own, some at a time.
    pub(super) async fn change_all(&mut self) {
        let action = ["cancel", "retry", "delete"][self.host.sim.roll(|dice| dice.usize(0..3))];
        if action == "delete" {
            self.mine.iter_mut().for_each(|mine| mine.removed = true);
        }
        let mut cursor = Value::Null;
        for _ in 0..20 {
            let ask = json!({
                "action": action, "filter": {"tags": {"of": self.name}}, "limit": 3,
                "cursor": cursor,
            });
            let answer = self.insist(&Ask::of(ChangeJobs, "/v1/jobs/bulk").json(&ask)).await;
            let Some(answer) = answer else { return };
            if !answer.is_ok() {
                let what = format!("a bulk {action} was answered {}", answer.json);
                return self.host.sim.violated(what);
            }
            let changed = answer.json["changed"].as_u64().unwrap_or(0);
            self.host.watch.note(|seen| seen.changed += usize::from(changed > 0));
            cursor = answer.json["next"].clone();
            if cursor.is_null() {
                return;
            }
        }
    }

    /// Has a caller told once more.
    pub(super) async fn redeliver(&mut self) {
        let Some((place, id)) = self.some() else { return };
        let event = if self.host.sim.chance(300) { "started" } else { "finished" };
        let path = format!("/v1/jobs/{id}/callbacks/{id}-1-{event}/redeliver");
        let answer = self.insist(&Ask::of(RedeliverCallback, &path)).await;
        let is_odd = |status| !matches!(status, 202 | 404 | 409) && status < 500;
        if let Some(answer) = answer.filter(|answer| is_odd(answer.status)) {
            let name = &self.mine[place].name;
            self.host.sim.violated(format!("to tell of {name} again was answered {}", answer.json));
        }
    }

    pub(super) async fn queue(&mut self) {
        let name = QUEUES[self.host.sim.roll(|dice| dice.usize(0..2))];
        let means = self.means;
        let change = self.host.sim.roll(|dice| match dice.u32(0..8) {
            0 => json!({"paused": true}),
            1 => json!({"paused": false}),
            2 => json!({"cpu_limit": f64::from(dice.u32(2..10)) / 4.0}),
            3 => json!({"cpu_limit": null, "memory_limit_mib": dice.u32(64..256)}),
            4 => json!({"callback": specs::callback(dice, means)}),
            5 => json!({"callback": "no"}),
            _ => json!({"limit": dice.u32(1..5)}),
        });
        let ask = Ask::of(PutQueue, &format!("/v1/queues/{name}")).json(&change);
        let answer = self.insist(&ask).await;
        if let Some(answer) = answer.filter(|answer| answer.status == 400) {
            self.host.sim.violated(format!("{change} was answered {}", answer.json));
        }
    }
}
