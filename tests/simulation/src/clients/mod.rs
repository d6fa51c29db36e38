//! People and programs that use the API: they send again what was not
//! answered, change their minds, and look at what is theirs.

mod changes;
mod events;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use cancel_job::CancelJob;
use data_encoding::BASE64;
use delete_job::DeleteJob;
use get_job::GetJob;
use http::{HeaderName, header};
use list_jobs::ListJobs;
use serde_json::{Value, json};
use shared::{job::ProjectId, ops::projects::NewProject};
use submit_job::SubmitJob;

use crate::{
    ask::{Answer, Ask},
    executor::Process,
    host::Host,
    specs::{self, Means, Whose},
};

/// Queues that clients use; the first is there from the start.
pub const QUEUES: [&str; 2] = ["default", "second"];

/// Jobs that there are, and whose they are.
pub type Others = Arc<Mutex<Vec<(ProjectId, String)>>>;

/// Somebody with a project's key.
pub struct Client {
    host: Arc<Host>,
    project: ProjectId,
    basic: String,
    name: String,
    means: Means,
    /// What a neighbour has, and this one must not see.
    others: Others,
    mine: Vec<Mine>,
    /// What its triggers wait for.
    armed: BTreeSet<String>,
    /// What it has told of.
    events: Vec<String>,
    /// How many objects it has written.
    written: usize,
}

/// A job that was submitted.
struct Mine {
    name: String,
    body: Value,
    token: Option<String>,
    /// The job that it was made from, by its place.
    from: Option<usize>,
    id: Option<String>,
    removed: bool,
}

impl Client {
    /// Somebody with this key.
    pub fn new(
        host: &Arc<Host>,
        new: &NewProject,
        name: String,
        means: Means,
        others: Others,
    ) -> Self {
        let pair = format!("{}:{}", new.key, new.secret.reveal());
        let basic = format!("Basic {}", BASE64.encode(pair.as_bytes()));
        let (host, project) = (Arc::clone(host), new.project.id);
        let (mine, armed, events) = (Vec::new(), BTreeSet::new(), Vec::new());
        Client { host, project, basic, name, means, others, mine, armed, events, written: 0 }
    }

    /// Goes about its business for about so long.
    pub fn start(mut self, lasting: Duration) {
        let sim = Arc::clone(&self.host.sim);
        self.host.watch.comes();
        sim.clone().spawn(Process::OUTSIDE, async move {
            let deeds = sim.roll(|dice| dice.u32(4..12));
            let pause = u64::try_from(lasting.as_millis()).unwrap_or(0) / u64::from(deeds);
            for _ in 0..deeds {
                let wait = sim.roll(|dice| dice.u64(0..=2 * pause));
                sim.sleep(Duration::from_millis(wait)).await;
                self.deed().await;
            }
            self.host.watch.goes();
        });
    }

    async fn deed(&mut self) {
        match self.host.sim.roll(|dice| dice.u32(0..34)) {
            0..9 => self.submit().await,
            9..11 => self.submit_again().await,
            11 => self.submit_from().await,
            12..14 => self.cancel().await,
            14 => self.delete().await,
            15..18 => self.queue().await,
            18 => self.list().await,
            19 => self.wait().await,
            20..22 => self.retry().await,
            22..24 => self.redeliver().await,
            24 => self.change_all().await,
            25..28 => self.trigger().await,
            28..30 => self.write().await,
            30..33 => self.post().await,
            _ => self.pry().await,
        }
    }

    async fn ask(&self, ask: Ask) -> Option<Answer> {
        self.host.ask(ask.header(header::AUTHORIZATION, &self.basic)).await
    }

    /// Asks a few times, as long as that may be of use.
    async fn insist(&self, ask: &Ask) -> Option<Answer> {
        for _ in 0..4 {
            match self.ask(ask.clone()).await {
                Some(answer) if !answer.is_passing() => return Some(answer),
                Some(_) | None => self.host.sim.sleep(Duration::from_secs(3)).await,
            }
        }
        None
    }

    async fn submit(&mut self) {
        let queue = QUEUES[self.host.sim.roll(|dice| usize::from(dice.u32(0..3) == 0))];
        let (is_wide, sort) = self.host.sim.roll(|dice| (dice.bool(), dice.u32(0..4)));
        if is_wide && std::mem::take(&mut self.means.wide) {
            return self.submit_one(queue, specs::wide).await;
        }
        if sort > 0 {
            return self.submit_one(queue, specs::job).await;
        }
        for _ in 0..self.host.sim.roll(|dice| dice.u32(1..4)) {
            self.submit_one(queue, specs::plain).await;
        }
    }

    async fn submit_one(
        &mut self,
        queue: &str,
        spec: impl FnOnce(&mut fastrand::Rng, Whose<'_>) -> Value,
    ) {
        let name = format!("{}-{}", self.name, self.mine.len());
        let (client, means) = (self.name.as_str(), self.means);
        let whose = Whose { name: &name, queue, client, means };
        let body = self.host.sim.roll(|dice| spec(dice, whose));
        self.add(name, body, None).await;
    }

    /// What one of its jobs was, under another name.
    async fn submit_from(&mut self) {
        let Some((from, id)) = self.some() else { return };
        let name = format!("{}-{}", self.name, self.mine.len());
        let body = json!({"from": id, "name": name});
        self.add(name, body, Some(from)).await;
    }

    async fn add(&mut self, name: String, body: Value, from: Option<usize>) {
        let token = self.host.sim.chance(700).then(|| format!("token-{name}"));
        self.mine.push(Mine { name, body, token, from, id: None, removed: false });
        self.send(self.mine.len() - 1).await;
    }

    /// The same again, with the same token: perhaps while the first is under way.
    async fn submit_again(&mut self) {
        let with_token = |mine: &Mine| mine.token.is_some();
        let places: Vec<usize> =
            (0..self.mine.len()).filter(|n| with_token(&self.mine[*n])).collect();
        if let Some(place) = self.host.sim.roll(|dice| dice.choice(places)) {
            self.send(place).await;
        }
    }

    async fn send(&mut self, place: usize) {
        let mine = &self.mine[place];
        let ask = Ask::of(SubmitJob, "/v1/jobs").json(&mine.body);
        let answer = if let Some(token) = &mine.token {
            let name = HeaderName::from_static("idempotency-key");
            self.insist(&ask.header(name, token)).await
        } else {
            // Once: again, it would be another job. A name is for one alone.
            let mut body = mine.body.clone();
            body["name"] = Value::Null;
            self.ask(ask.json(&body)).await
        };
        let Some(answer) = answer else { return };
        let mine = &self.mine[place];
        match answer.status {
            200 | 202 => self.accepted(place, &answer.json),
            // Its queue is not there yet, or lets nothing so large run; what it
            // was made from was removed. Nothing of that matters once it is a job.
            400 if mine.id.is_none() && self.may_be_refused(place, &answer.json["field"]) => {}
            409 if answer.json["code"] == "job_deleted" && mine.removed => {}
            429 | 500.. => {}
            status => {
                let what = format!("a submit was answered {status}: {}", answer.json);
                self.host.sim.violated(what);
            }
        }
    }

    fn may_be_refused(&self, place: usize, field: &Value) -> bool {
        let from = self.mine[place].from;
        field == "queue" || (field == "from" && from.is_some_and(|from| self.mine[from].removed))
    }

    fn accepted(&mut self, place: usize, json: &Value) {
        let id = json["id"].as_str().unwrap_or_default().to_owned();
        let mine = &mut self.mine[place];
        match &mine.id {
            Some(known) if *known != id => {
                let what = format!("{} was answered with {known} and with {id}", mine.name);
                self.host.sim.violated(what);
            }
            Some(_) => self.host.watch.note(|seen| seen.repeated += 1),
            None => {
                mine.id = Some(id.clone());
                if let (Some(callback), Ok(job)) = (mine.body.get("callback"), id.parse()) {
                    self.host.watch.wishes(job, *callback != "no");
                }
                let is_copy = mine.from.is_some();
                self.host.watch.note(|seen| seen.copied += usize::from(is_copy));
                let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
                others.push((self.project, id));
            }
        }
    }

    /// One of its jobs that was accepted.
    fn some(&self) -> Option<(usize, String)> {
        let known = self.mine.iter().enumerate();
        let known = known.filter_map(|(place, mine)| Some((place, mine.id.clone()?)));
        let known: Vec<_> = known.collect();
        self.host.sim.roll(|dice| dice.choice(known))
    }

    async fn wait(&mut self) {
        let Some((place, id)) = self.some() else { return };
        let answer = self.ask(Ask::of(GetJob, &format!("/v1/jobs/{id}?wait=20"))).await;
        self.is_there(place, answer.as_ref());
    }

    /// What was accepted is there, until it is removed.
    fn is_there(&self, place: usize, answer: Option<&Answer>) {
        let mine = &self.mine[place];
        if answer.is_some_and(|answer| answer.status == 404) && !mine.removed {
            self.host.sim.violated(format!("{} was accepted, and is not there", mine.name));
        }
    }

    /// All pages of a listing: nothing in it is anybody else's.
    async fn list(&mut self) {
        let open = if self.host.sim.chance(300) { "&state=running" } else { "" };
        let mut target = format!("/v1/jobs?limit=3{open}");
        for _ in 0..20 {
            let answer = self.insist(&Ask::of(ListJobs, &target)).await;
            let Some(page) = answer.filter(Answer::is_ok) else { return };
            for job in page.json["jobs"].as_array().into_iter().flatten() {
                if job["project_id"] != self.project.to_string() {
                    self.host.sim.violated(format!("{} is listed to another project", job["id"]));
                }
            }
            let Some(next) = page.json["next"].as_str() else { return };
            target = format!("/v1/jobs?limit=3{open}&cursor={next}");
        }
    }

    /// Asks for what is not theirs.
    async fn pry(&mut self) {
        let theirs: Vec<_> = {
            let others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
            others.iter().filter(|(owner, _)| *owner != self.project).cloned().collect()
        };
        let Some((_, id)) = self.host.sim.roll(|dice| dice.choice(theirs)) else { return };
        let ask = match self.host.sim.roll(|dice| dice.u32(0..3)) {
            0 => Ask::of(GetJob, &format!("/v1/jobs/{id}")),
            1 => Ask::of(CancelJob, &format!("/v1/jobs/{id}/cancel")),
            _ => Ask::of(DeleteJob, &format!("/v1/jobs/{id}")),
        };
        let answer = self.ask(ask).await;
        if answer.is_some_and(|answer| answer.status < 500 && answer.status != 404) {
            self.host.sim.violated(format!("{id} is there for another project"));
        }
    }
}
