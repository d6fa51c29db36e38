//! `GET /v1/jobs/{job}/output`: what a job brought home: the archive of one of
//! its attempts, a file out of it, or a range of either; or all archives as one.

use http::{StatusCode, header};
use shared::{
    auth,
    function::{Action, Route},
    job::{AttemptId, Job, JobKey, Layout, Task},
    ops::{
        bundle, jobs,
        output::{self, Selected, Selector},
    },
    service::Service,
    wire::{Problem, RangeAsked, Reply, Request, openapi},
};

/// The action.
pub struct GetOutput;

impl Action for GetOutput {
    const NAME: &'static str = "get-output";
    const ROUTE: Route = Route::get("/v1/jobs/{job}/output");

    async fn handle(&self, service: &Service, request: Request) -> Result<Reply, Problem> {
        let who = auth::authenticate(service, &request).await?;
        request.only_query(&["task", "instance", "attempt", "member", "wait"])?;
        let wait = request.wait_seconds(service.config.longest_wait_seconds)?;
        let selector = Selector {
            task: request.query("task").map(str::to_owned),
            instance: request.query_as("instance")?,
            attempt: request.query_as("attempt")?,
        };
        let key = JobKey { project: who.project, job: request.parameter("job")? };
        let job = jobs::load(service, key).await?;
        if request.query("member").is_none() && are_several(&job, &selector) {
            return bundle(service, job, &selector, wait).await;
        }
        let (job, attempt) = selected(service, job, &selector, wait).await?;
        let archive = output::archive(service, key, attempt).await?;
        let (read, media_type, name) = match request.query("member") {
            None => (archive, "application/x-tar", format!("{}.tar", job.id)),
            Some(member) => {
                let read = output::member(service, &archive, member).await?;
                (read, "application/octet-stream", file_name(member))
            }
        };
        let ranged = RangeAsked::of(&request).within(read.size(), &read.etag)?;
        let body = read.read(service, ranged.part.clone()).await?;
        let name = format!("attachment; filename=\"{name}\"");
        let reply = ranged.reply(body, &read.etag, media_type).about(&job);
        Ok(reply.with(header::CONTENT_DISPOSITION, name))
    }

    fn describe(describe: &mut openapi::Describe) {
        describe
            .summary("Get a job's output")
            .text(
                "One tar: `Stdout`, `Stderr`, each output under its absolute path without the \
                 slash, `manifest.json`. A `Range` of it can be had. Of a job of several \
                 archives, without a selector, one tar of all, each in a folder of its own: \
                 `TASK/INSTANCE/`. Where there is not the time to put that one together, the \
                 answer is 503 with the code `out_of_time`: ask for the archives one by one.",
            )
            .query("task", "The task's name; all without.")
            .query("instance", "The instance, from 0; all without.")
            .query("attempt", "The attempt, from 1; the latest without.")
            .query("member", "One file of the archive, by its name there.")
            .query("wait", "Seconds to wait for the job's end.")
            .bytes(200, "application/x-tar", "The archive.")
            .bytes(200, "application/octet-stream", "The member.")
            .bytes(206, "application/x-tar", "The range that was asked for.");
    }
}

/// Whether the selector leaves open which of several archives is meant.
fn are_several(job: &Job, selector: &Selector) -> bool {
    let named = selector.task.as_deref();
    let wanted = |task: &&Task| named.is_none_or(|name| name == task.name.as_str());
    let instances = |task: &Task| task.members.counts().total();
    let is_open = selector.instance.is_none() && selector.attempt.is_none();
    is_open && job.tasks.iter().filter(wanted).map(instances).sum::<u32>() > 1
}

/// All of them as one tar, with a folder for each task and instance.
async fn bundle(
    service: &Service,
    job: Job,
    selector: &Selector,
    wait: u32,
) -> Result<Reply, Problem> {
    let job = match job.ending() {
        None if wait > 0 => jobs::wait(service, job.key(), wait).await?,
        _ => job,
    };
    let body = bundle::read(service, &job, selector.task.as_deref(), Layout::Native).await?;
    let name = format!("attachment; filename=\"{}.tar\"", job.id);
    let reply = Reply::new(StatusCode::OK, body).with(header::CONTENT_TYPE, "application/x-tar");
    // What a run has brought home changes no more: a reader may start anew.
    let tag = format!("\"run-{}\"", job.run);
    Ok(reply.about(&job).with(header::ETAG, tag).with(header::CONTENT_DISPOSITION, name))
}

/// The job and the attempt that is meant, waited for as long as there is
/// nothing to be had of it.
async fn selected(
    service: &Service,
    job: Job,
    selector: &Selector,
    wait: u32,
) -> Result<(Job, AttemptId), Problem> {
    let Selected { attempt, is_live, .. } = output::select(service, &job, selector).await?;
    let is_over = job.ending().is_some() || (attempt.number > 0 && !is_live);
    if wait == 0 || is_over {
        return Ok((job, attempt));
    }
    let job = jobs::wait(service, job.key(), wait).await?;
    let attempt = output::select(service, &job, selector).await?.attempt;
    Ok((job, attempt))
}

/// What a downloaded member is called: the end of its name, as far as a header
/// can say it.
fn file_name(member: &str) -> String {
    let last = member.rsplit('/').next().unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-+ ".contains(c) { c } else { '_' };
    last.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use shared::{
        archive::{Step, Walker},
        conformance::memory::World,
    };

    use super::GetOutput;

    const MEMBERS: [(&str, &str); 4] =
        [("Stdout", "hello\n"), ("Stderr", ""), ("out/a.txt", "0123456789"), ("out/b", "b")];

    async fn finished(world: &World) -> String {
        let job = world.submit(r#"{"image": "a"}"#).await.id;
        world.run(job, 0, &MEMBERS).await;
        format!("/v1/jobs/{job}/output")
    }

    #[tokio::test(start_paused = true)]
    async fn the_archive_is_served_whole_with_its_length() {
        let world = World::new().await;
        let path = finished(&world).await;
        let answer = world.ask(&path).of(GetOutput).await.expect(200);
        assert_eq!(answer.header("content-type"), Some("application/x-tar"));
        assert_eq!(answer.header("accept-ranges"), Some("bytes"));
        assert_eq!(answer.header("tarpon-job-state"), Some("succeeded"));
        let name = answer.header("content-disposition").expect("a name");
        assert!(name.starts_with("attachment; filename=\"job-") && name.ends_with(".tar\""));
        assert_eq!(&answer.body[..6], b"Stdout");
        assert_eq!(answer.body.len() % 512, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_range_of_the_archive_is_a_part_of_the_whole() {
        let world = World::new().await;
        let path = finished(&world).await;
        let whole = world.ask(&path).of(GetOutput).await;
        let size = whole.body.len();
        let etag = whole.header("etag").expect("a tag").to_owned();

        let part = world.ask(&path).header("range", "bytes=512-517").of(GetOutput).await;
        assert_eq!(part.clone().expect(206).text(), "hello\n");
        assert_eq!(part.header("content-range"), Some(format!("bytes 512-517/{size}").as_str()));
        let end = world.ask(&path).header("range", "bytes=-1024").of(GetOutput).await.expect(206);
        assert_eq!(end.body, whole.body.slice(size - 1024..));

        let beyond = world.ask(&path).header("range", "bytes=999999-").of(GetOutput).await;
        beyond.refused(416, "out_of_range", "");
        assert_eq!(beyond.header("content-range"), Some(format!("bytes */{size}").as_str()));

        let resumed = world.ask(&path).header("range", "bytes=1-2").header("if-range", &etag);
        assert_eq!(resumed.of(GetOutput).await.status, 206);
        let changed = world.ask(&path).header("range", "bytes=1-2").header("if-range", "\"x\"");
        assert_eq!(changed.of(GetOutput).await.expect(200).body, whole.body);
    }

    #[tokio::test(start_paused = true)]
    async fn a_member_is_served_alone() {
        let world = World::new().await;
        let path = finished(&world).await;
        for (name, text) in MEMBERS {
            for name in [name.to_owned(), format!("/{name}")] {
                let answer = world.ask(&path).query("member", &name).of(GetOutput).await;
                assert_eq!(answer.clone().expect(200).text(), text, "{name}");
                assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
            }
        }
        let ranged = world.ask(&path).query("member", "out/a.txt").header("range", "bytes=-3");
        let answer = ranged.of(GetOutput).await.expect(206);
        assert_eq!(answer.text(), "789");
        assert_eq!(answer.header("content-range"), Some("bytes 7-9/10"));
        assert_eq!(answer.header("content-disposition"), Some("attachment; filename=\"a.txt\""));

        let missing = world.ask(&path).query("member", "out/c").of(GetOutput).await;
        missing.refused(404, "not_found", "");
        assert!(missing.text().contains("out/c"));
        let link = world.ask(&path).query("member", "a-link").of(GetOutput).await;
        link.refused(409, "not_a_file", "");
    }

    #[tokio::test(start_paused = true)]
    async fn a_member_is_found_behind_others_that_are_large() {
        let world = World::new().await;
        let job = world.submit(r#"{"image": "a"}"#).await.id;
        let large = "x".repeat(300_000);
        let long = format!("{}/end", "d".repeat(150));
        let members = [("Stdout", &*large), ("Stderr", ""), ("big", &large), (&*long, "found")];
        world.run(job, 0, &members).await;
        let ask = world.ask(&format!("/v1/jobs/{job}/output")).query("member", &long);
        assert_eq!(ask.of(GetOutput).await.expect(200).text(), "found");
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_not_ended_has_no_output_yet_and_can_be_waited_for() {
        let world = World::new().await;
        let job = world.submit(r#"{"image": "a"}"#).await.id;
        let path = format!("/v1/jobs/{job}/output");
        world.ask(&path).of(GetOutput).await.refused(409, "not_finished", "");
        let short = world.ask(&path).query("wait", "1").of(GetOutput).await;
        short.refused(409, "not_finished", "");
        let waiting = world.ask(&path).query("wait", "60").of(GetOutput);
        let (answer, _) = tokio::join!(waiting, world.run(job, 1, &MEMBERS));
        let answer = answer.expect(200);
        assert_eq!(answer.header("tarpon-exit-code"), Some("1"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_that_never_ran_has_none_and_says_so() {
        let world = World::new().await;
        for json in [r#"{"image": "missing/a"}"#, r#"{"image": "missing/a", "instances": 2}"#] {
            let job = world.submit(json).await.id;
            world.settle().await;
            let answer = world.ask(&format!("/v1/jobs/{job}/output")).of(GetOutput).await;
            answer.refused(404, "not_found", "");
            assert!(answer.text().contains("nothing was run"), "{}", answer.text());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn of_several_archives_all_come_unless_one_is_named() {
        let world = World::new().await;
        let json = r#"{"tasks": [{"name": "one", "image": "a", "instances": 2},
                                 {"name": "two", "image": "a"}]}"#;
        let job = world.submit(json).await.id;
        world.settle().await;
        for (n, attempt) in world.job(job).await.live_attempts().into_iter().enumerate() {
            let attempt = shared::job::AttemptKey { project: world.project, attempt };
            let text = format!("output {n}");
            world.finish(attempt, 0, &[("Stdout", &text)]).await;
        }
        let path = format!("/v1/jobs/{job}/output?member=Stdout");
        let ask = |more: &str| world.ask(&format!("{path}{more}")).of(GetOutput);
        ask("").await.refused(400, "invalid_field", "task");
        ask("&task=one").await.refused(400, "invalid_field", "instance");
        ask("&task=three").await.refused(404, "not_found", "");
        ask("&task=one&instance=2").await.refused(404, "not_found", "");
        ask("&task=one&instance=x").await.refused(400, "invalid_field", "instance");
        ask("&task=two&attempt=2").await.refused(404, "not_found", "");
        assert_eq!(ask("&task=one&instance=1").await.expect(200).text(), "output 1");
        assert_eq!(ask("&task=two&attempt=1").await.expect(200).text(), "output 2");

        let all = |more: &str| world.ask(&format!("/v1/jobs/{job}/output?{more}")).of(GetOutput);
        let everything = all("").await.expect(200);
        assert_eq!(everything.header("content-type"), Some("application/x-tar"));
        assert_eq!(everything.header("tarpon-job-state"), Some("succeeded"));
        let expected = ["one/0/Stdout", "one/1/Stdout", "two/0/Stdout"];
        assert_eq!(streams(&everything.body), expected.map(str::to_owned));
        let of_one = all("task=one").await.expect(200);
        assert_eq!(streams(&of_one.body), expected[..2]);
        assert_eq!(&all("task=two").await.expect(200).body[..6], b"Stdout");
        all("attempt=1").await.refused(400, "invalid_field", "task");
    }

    /// The members of a tar that are streams.
    fn streams(tar: &[u8]) -> Vec<String> {
        let (mut walker, mut names) = (Walker::new(), Vec::new());
        while let Ok(Step::Member(found)) = walker.step(0, tar) {
            names.push(String::from_utf8(found.name).expect("a name in UTF-8"));
        }
        names.retain(|name| name.ends_with("Stdout"));
        names
    }

    #[tokio::test(start_paused = true)]
    async fn several_archives_are_waited_for_together() {
        let world = World::new().await;
        let json = r#"{"tasks": [{"name": "one", "image": "a"}, {"name": "two", "image": "a"}]}"#;
        let job = world.submit(json).await.id;
        let path = format!("/v1/jobs/{job}/output");
        world.ask(&path).of(GetOutput).await.refused(409, "not_finished", "");
        let waiting = world.ask(&path).query("wait", "60").of(GetOutput);
        let ending = async {
            world.run(job, 0, &MEMBERS).await;
            world.run(job, 1, &MEMBERS).await
        };
        let (answer, _) = tokio::join!(waiting, ending);
        assert_eq!(answer.clone().expect(200).header("tarpon-job-state"), Some("partly_failed"));
        assert_eq!(streams(&answer.body), ["one/0/Stdout", "two/0/Stdout"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_ours_is_not_there() {
        let world = World::new().await;
        let path = finished(&world).await;
        world.neighbour().await.ask(&path).of(GetOutput).await.refused(404, "not_found", "");
        world.ask(&path).nameless().of(GetOutput).await.refused(401, "unauthenticated", "");
        world.ask("/v1/jobs/x/output").of(GetOutput).await.refused(404, "not_found", "");
    }
}
