//! `GET /v1/jobs/{job}/logs`: what a job's process wrote, as it is written or
//! afterwards.

use data_encoding::BASE64;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use http::{StatusCode, header};
use serde::Serialize;
use shared::{
    agent::Stream,
    auth,
    function::{Action, Route},
    job::JobKey,
    ops::{
        logs::Piece,
        output::Selector,
        transcript::{self, Wanted},
    },
    service::Service,
    wire::{Body, Problem, Reply, Request, openapi},
};
use tracing::warn;

/// The action.
pub struct ReadLogs;

impl Action for ReadLogs {
    const NAME: &'static str = "read-logs";
    const ROUTE: Route = Route::get("/v1/jobs/{job}/logs");

    async fn handle(&self, service: &Service, request: Request) -> Result<Reply, Problem> {
        let who = auth::authenticate(service, &request).await?;
        request.only_query(&[
            "stream",
            "stdout_offset",
            "stderr_offset",
            "follow",
            "task",
            "instance",
            "attempt",
        ])?;
        let wanted = Wanted {
            selector: Selector {
                task: request.query("task").map(str::to_owned),
                instance: request.query_as("instance")?,
                attempt: request.query_as("attempt")?,
            },
            streams: streams(&request)?,
            follow: follow(&request)?,
        };
        let key = JobKey { project: who.project, job: request.parameter("job")? };
        let follow = wanted.follow;
        let pieces = transcript::read(service, key, wanted).await?;
        let lines = wants_lines(&request);
        let media_type = if lines { LINES } else { "text/plain; charset=utf-8" };
        let stream = written(pieces, lines);
        // Who follows goes on from where it was, however often it is cut.
        let body = if follow {
            Body::Pieces(stream)
        } else {
            Body::Stream { stream, length: None, stored: None }
        };
        Ok(Reply::new(StatusCode::OK, body)
            .with(header::CONTENT_TYPE, media_type)
            .with(header::CACHE_CONTROL, "no-cache")
            .with(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
    }

    fn describe(describe: &mut openapi::Describe) {
        describe
            .summary("Read a job's logs")
            .text(
                "Of a process that runs, what it has written so far. With `Accept: \
                 application/x-ndjson`, one JSON object a line: `stream`, `offset`, `data` in \
                 base 64. With `follow`, an answer with the header `Tarpon-More: true` was cut: \
                 ask again, from where it ended.",
            )
            .query("stream", "`stdout` or `stderr`; both without.")
            .query("stdout_offset", "How many bytes of `stdout` to leave out; 0 without.")
            .query("stderr_offset", "The same of `stderr`.")
            .query("follow", "`true`: as it is written, to the end of the attempt.")
            .query("task", "The task's name; the only one without.")
            .query("instance", "The instance, from 0; the only one without.")
            .query("attempt", "The attempt, from 1; the latest without.")
            .bytes(200, "text/plain", "The bytes, as they were written.")
            .bytes(200, LINES, "The bytes, and which they are.");
    }
}

const LINES: &str = "application/x-ndjson";

fn streams(request: &Request) -> Result<Vec<(Stream, u64)>, Problem> {
    let offset = |name: &str| Ok::<_, Problem>(request.query_as(name)?.unwrap_or(0));
    let stdout = (Stream::Stdout, offset("stdout_offset")?);
    let stderr = (Stream::Stderr, offset("stderr_offset")?);
    match request.query("stream") {
        None => Ok(vec![stdout, stderr]),
        Some("stdout") => Ok(vec![stdout]),
        Some("stderr") => Ok(vec![stderr]),
        Some(_) => Err(Problem::invalid("stream", "it is `stdout` or `stderr`")),
    }
}

fn follow(request: &Request) -> Result<bool, Problem> {
    match request.query("follow") {
        None | Some("false") => Ok(false),
        Some("true" | "") => Ok(true),
        Some(_) => Err(Problem::invalid("follow", "it is `true` or `false`")),
    }
}

fn wants_lines(request: &Request) -> bool {
    let accepted = request.header("accept").unwrap_or_default().split(',');
    let mut types = accepted.map(|part| part.split(';').next().unwrap_or_default().trim());
    types.any(|media_type| media_type.eq_ignore_ascii_case(LINES))
}

/// One line of the reply, for who wants to know which bytes they are.
#[derive(Serialize)]
struct Line {
    stream: Stream,
    offset: u64,
    data: String,
}

fn written(
    pieces: BoxStream<'static, Result<Piece, Problem>>,
    lines: bool,
) -> shared::platform::ByteStream {
    let bytes = pieces.map_ok(move |piece| if lines { line(&piece) } else { piece.bytes });
    bytes
        .map_err(|problem| {
            // The status has been sent: all that can still be said is that the
            // end is not the end.
            warn!(error = %problem, "a log broke off");
            std::io::Error::other(problem)
        })
        .boxed()
}

fn line(piece: &Piece) -> bytes::Bytes {
    let Piece { stream, offset, bytes } = piece;
    let line = Line { stream: *stream, offset: *offset, data: BASE64.encode(bytes) };
    let mut json = serde_json::to_vec(&line).expect("a line is plain text and a number");
    json.push(b'\n');
    json.into()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::{StreamExt, TryStreamExt, stream::BoxStream};
    use shared::{
        agent::Stream::{Stderr, Stdout},
        conformance::memory::{Ask, World},
        job::JobId,
    };

    use super::*;

    async fn submitted(world: &World) -> (JobId, String) {
        let job = world.submit(r#"{"image": "a"}"#).await.id;
        (job, format!("/v1/jobs/{job}/logs"))
    }

    /// The pieces of a body as text, one by one.
    async fn open(ask: Ask) -> BoxStream<'static, String> {
        let reply = ask.reply(ReadLogs).await;
        assert_eq!(reply.status, 200);
        let text = |bytes: bytes::Bytes| String::from_utf8(bytes.into()).expect("text");
        reply
            .body
            .into_stream()
            .map(move |bytes| text(bytes.expect("no end before the end")))
            .boxed()
    }

    /// Fails the test if there is more within a minute.
    async fn silent(body: &mut BoxStream<'static, String>) {
        let next = tokio::time::timeout(Duration::from_mins(1), body.next()).await;
        assert!(next.is_err(), "{next:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_follower_gets_every_byte_once_as_it_is_written_and_to_the_end() {
        let world = World::new().await;
        let (job, path) = submitted(&world).await;
        let mut body = open(world.ask(&path).query("follow", "true")).await;
        silent(&mut body).await;

        let (attempt, _) = world.start(job).await;
        silent(&mut body).await;
        world.write(attempt, Stdout, 0, "one ").await;
        assert_eq!(body.next().await.as_deref(), Some("one "));
        world.write(attempt, Stderr, 0, "oops ").await;
        world.write(attempt, Stdout, 4, "two ").await;
        // Sent again, and once more in other pieces: the agent was not answered.
        world.write(attempt, Stdout, 4, "two ").await;
        world.write(attempt, Stdout, 4, "two three ").await;
        assert_eq!(body.next().await.as_deref(), Some("oops "));
        assert_eq!(body.next().await.as_deref(), Some("two "));
        assert_eq!(body.next().await.as_deref(), Some("three "));
        silent(&mut body).await;

        world
            .finish(attempt, 0, &[("Stdout", "one two three four"), ("Stderr", "oops over")])
            .await;
        let rest: Vec<String> = body.collect().await;
        assert_eq!(rest, ["four", "over"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_can_be_followed_alone() {
        let world = World::new().await;
        let (job, path) = submitted(&world).await;
        let (attempt, _) = world.start(job).await;
        world.write(attempt, Stdout, 0, "out").await;
        world.write(attempt, Stderr, 0, "err").await;
        let body = open(world.ask(&path).query("follow", "true").query("stream", "stderr")).await;
        world.finish(attempt, 0, &[("Stdout", "output"), ("Stderr", "error")]).await;
        assert_eq!(body.collect::<String>().await, "error");
    }

    #[tokio::test(start_paused = true)]
    async fn without_following_what_there_is_so_far_is_all() {
        let world = World::new().await;
        let (job, path) = submitted(&world).await;
        assert_eq!(world.ask(&path).of(ReadLogs).await.expect(200).text(), "");
        let (attempt, _) = world.start(job).await;
        assert_eq!(world.ask(&path).of(ReadLogs).await.expect(200).text(), "");
        let mut expected = String::new();
        for n in 0..100_u64 {
            let line = format!("{n:02}\n");
            world.write(attempt, Stdout, n * 3, &line).await;
            expected.push_str(&line);
        }
        let so_far = world.ask(&path).of(ReadLogs).await.expect(200).text();
        assert_eq!(so_far, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn after_the_end_the_archive_tells_it_whole() {
        let world = World::new().await;
        let (job, path) = submitted(&world).await;
        let (attempt, _) = world.start(job).await;
        world.write(attempt, Stdout, 0, "begin").await;
        let long = "line\n".repeat(50_000);
        world.finish(attempt, 0, &[("Stdout", &long), ("Stderr", "oops")]).await;
        for follow in ["true", "false"] {
            let ask = world.ask(&path).query("follow", follow);
            assert_eq!(ask.of(ReadLogs).await.expect(200).text(), format!("{long}oops"));
        }
        let ask = world.ask(&path).query("stream", "stderr");
        assert_eq!(ask.of(ReadLogs).await.expect(200).text(), "oops");
    }

    #[tokio::test(start_paused = true)]
    async fn without_an_archive_what_was_sent_before_the_end_is_told() {
        let world = World::new().await;
        let (job, path) = submitted(&world).await;
        let (attempt, _) = world.start(job).await;
        world.write(attempt, Stdout, 0, "so far").await;
        world.report(attempt, 0, None, None).await;
        let ask = world.ask(&path).query("follow", "true");
        assert_eq!(ask.of(ReadLogs).await.expect(200).text(), "so far");

        let (job, path) = submitted(&world).await;
        let (attempt, _) = world.start(job).await;
        world.report(attempt, 0, None, None).await;
        assert_eq!(world.ask(&path).of(ReadLogs).await.expect(200).text(), "the end of stdout\n");
    }

    #[tokio::test(start_paused = true)]
    async fn followers_of_what_never_starts_are_let_go() {
        let world = World::new().await;
        let (job, path) = submitted(&world).await;
        let body = open(world.ask(&path).query("follow", "true")).await;
        let cancelled = async {
            let key = shared::job::JobKey { project: world.project, job };
            shared::ops::jobs::cancel(&world.service, key).await.expect("it can be cancelled");
        };
        let (text, ()) = tokio::join!(body.collect::<String>(), cancelled);
        assert_eq!(text, "");
    }

    #[tokio::test(start_paused = true)]
    async fn lines_say_which_bytes_they_are() {
        let world = World::new().await;
        let (job, path) = submitted(&world).await;
        let (attempt, _) = world.start(job).await;
        world.write(attempt, Stdout, 0, "hello").await;
        world.write(attempt, Stderr, 0, "oops").await;
        world.finish(attempt, 0, &[("Stdout", "hello world"), ("Stderr", "oops")]).await;
        let ask = world.ask(&path).header("accept", "text/html, application/x-ndjson;q=1");
        let answer = ask.of(ReadLogs).await.expect(200);
        assert_eq!(answer.header("content-type"), Some(LINES));
        assert_eq!(
            answer.text(),
            "{\"stream\":\"stdout\",\"offset\":0,\"data\":\"aGVsbG8gd29ybGQ=\"}\n\
             {\"stream\":\"stderr\",\"offset\":0,\"data\":\"b29wcw==\"}\n"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_cut_goes_on_where_it_was() {
        let world = World::new().await;
        let (job, path) = submitted(&world).await;
        let (attempt, _) = world.start(job).await;
        world.write(attempt, Stdout, 0, "one ").await;
        world.write(attempt, Stderr, 0, "oops").await;
        world.write(attempt, Stdout, 4, "two ").await;
        let from = format!("{path}?stdout_offset=2&stderr_offset=4");
        assert_eq!(world.ask(&from).of(ReadLogs).await.expect(200).text(), "e two ");
        let mut body = open(world.ask(&format!("{from}&follow=true"))).await;
        assert_eq!(body.next().await.as_deref(), Some("e "));
        assert_eq!(body.next().await.as_deref(), Some("two "));
        world.finish(attempt, 0, &[("Stdout", "one two three"), ("Stderr", "oops")]).await;
        assert_eq!(body.collect::<Vec<_>>().await, ["three"]);

        // The same of what is in the archive, and beyond its end.
        for (query, expected) in [
            ("?stdout_offset=8", "threeoops"),
            ("?stream=stdout&stdout_offset=13", ""),
            ("?stream=stderr&stderr_offset=99", ""),
        ] {
            let answer = world.ask(&format!("{path}{query}")).of(ReadLogs).await.expect(200);
            assert_eq!(answer.text(), expected, "{query}");
        }
        let lines = world.ask(&format!("{path}?stream=stderr&stderr_offset=1"));
        let lines = lines.header("accept", LINES).of(ReadLogs).await.expect(200);
        assert_eq!(lines.json()["offset"], 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_archive_that_is_none_ends_the_stream_with_an_error() {
        let world = World::new().await;
        let (job, path) = submitted(&world).await;
        let (attempt, _) = world.start(job).await;
        world.finish(attempt, 0, &[]).await;
        let reply = world.ask(&path).reply(ReadLogs).await;
        assert!(reply.body.into_stream().try_collect::<Vec<_>>().await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_bad_request_is_refused_before_anything_is_sent() {
        let world = World::new().await;
        let (_, path) = submitted(&world).await;
        for (query, field) in [
            ("stream=both", "stream"),
            ("follow=1", "follow"),
            ("tail=1", "tail"),
            ("stdout_offset=-1", "stdout_offset"),
            ("stream=stdout&stderr_offset=x", "stderr_offset"),
        ] {
            let answer = world.ask(&format!("{path}?{query}")).of(ReadLogs).await;
            answer.refused(400, "invalid_field", field);
        }
        let answer = world.ask(&format!("{path}?task=x")).of(ReadLogs).await;
        answer.refused(404, "not_found", "");
        world.neighbour().await.ask(&path).of(ReadLogs).await.refused(404, "not_found", "");
        world.ask(&path).nameless().of(ReadLogs).await.refused(401, "unauthenticated", "");
    }
}
