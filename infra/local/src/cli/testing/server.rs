//! What the server answers.

use std::collections::VecDeque;

use axum::{
    body::Body,
    extract::{Request, State},
    response::Response,
};
use bytes::Bytes;
use data_encoding::BASE64;
use futures::{StreamExt, stream};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};

use super::{
    Fault,
    fake::{Fake, view},
};

/// Answers a request, or lets it go wrong.
pub async fn serve(State(fake): State<Fake>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    let said = format!("{} {target}", parts.method);
    let fault = fake.take_fault(&said);
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    {
        let mut books = fake.books();
        books.requests.push(said.clone());
        books.headers.push(parts.headers.clone());
        books.bodies.push(body.clone());
    }
    fake.changed.send_modify(|count| *count += 1);
    if let Some(Fault::Status(status)) = fault {
        return problem(status, "a_fault", "it was not to be");
    }
    let path = parts.uri.path().to_owned();
    let path: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let query: Vec<(String, String)> = reqwest::Url::parse(&format!("http://x{target}"))
        .unwrap()
        .query_pairs()
        .into_owned()
        .collect();
    let expected = format!("Basic {}", BASE64.encode(b"tp1:s1"));
    let key = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if path[0] != "put" && key != Some(&expected) {
        return problem(401, "unauthenticated", "the access key is not known");
    }
    let asked = Asked { fake: &fake, method: parts.method, query, headers: parts.headers, body };
    let response = asked.answer(&path).await;
    match fault {
        // Ends the connection's task without a word, on the wire or here.
        Some(Fault::Lost) => std::panic::resume_unwind(Box::new("lost")),
        Some(Fault::Cut(bytes)) => break_off(response, bytes),
        _ => response,
    }
}

/// The same answer, whose body breaks off after `most` bytes.
fn break_off(response: Response, most: usize) -> Response {
    let (parts, body) = response.into_parts();
    let cut = stream::once(async move {
        let whole = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Ok(whole.slice(..most.min(whole.len())))
    });
    let broken = stream::once(async {
        // What was written goes out while nothing more is ready.
        tokio::task::yield_now().await;
        Err(std::io::Error::other("cut"))
    });
    Response::from_parts(parts, Body::from_stream(cut.chain(broken)))
}

fn problem(status: u16, code: &str, detail: &str) -> Response {
    let body = json!({"title": "x", "status": status, "code": code, "detail": detail});
    reply(status, &body)
}

fn reply(status: u16, body: &Value) -> Response {
    let response = Response::builder().status(status);
    response.header("content-type", "application/json").body(body.to_string().into()).unwrap()
}

struct Asked<'a> {
    fake: &'a Fake,
    method: Method,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
}

impl Asked<'_> {
    fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    async fn answer(&self, path: &[&str]) -> Response {
        let listed = format!("/{}", path.join("/"));
        if [Method::GET, Method::POST].contains(&self.method)
            && let Some(page) =
                self.fake.books().pages.get_mut(&listed).and_then(VecDeque::pop_front)
        {
            return reply(200, &page);
        }
        let canned = format!("{} {listed}", self.method);
        if let Some(json) = self.fake.books().canned.get(&canned) {
            return reply(200, json);
        }
        match (self.method.as_str(), path) {
            ("POST", ["v1", "jobs"]) => self.submit(),
            ("GET", ["v1", "jobs", id]) => self.look(id).await,
            ("POST", ["v1", "jobs", id, "cancel"]) => self.cancel(id),
            ("DELETE", ["v1", "jobs", id]) => match self.fake.books().jobs.remove(*id) {
                Some(_) => reply(204, &json!(null)),
                None => no_job(id),
            },
            ("GET", ["v1", "jobs", id, "logs"]) => self.logs(id),
            ("GET", ["v1", "jobs", id, "output"]) => self.output(id),
            ("POST", ["v1", "uploads"]) => self.create_upload(),
            ("PUT", ["put", name @ ..]) => self.put(name),
            ("GET" | "HEAD", ["v1", "objects", name @ ..]) => {
                match self.fake.books().objects.get(&name.join("/")) {
                    Some(bytes) => self.bytes(bytes),
                    None => problem(404, "not_found", "no object"),
                }
            }
            ("DELETE", ["v1", "objects", name @ ..]) => {
                self.fake.books().objects.remove(&name.join("/"));
                reply(204, &json!(null))
            }
            _ => problem(404, "no_route", "no such path"),
        }
    }

    fn submit(&self) -> Response {
        let key = self.headers["idempotency-key"].to_str().unwrap().to_owned();
        let body: Value = serde_json::from_slice(&self.body).unwrap();
        if body["image"] == "" {
            let body = json!({
                "status": 400, "code": "invalid_field", "field": "image",
                "detail": "`image`: an image is required",
            });
            return reply(400, &body);
        }
        let mut books = self.fake.books();
        let fresh = format!("job-{}", books.submits.len() + 1);
        let (id, _) = books.submits.entry(key).or_insert((fresh, body)).clone();
        let job = books.next_job.clone();
        let job = books.jobs.entry(id.clone()).or_insert(job);
        let tasks = job.views.front().map(|view| json!({"tasks": view["tasks"]}));
        reply(202, &view(&id, "queued", &tasks.unwrap_or_default()))
    }

    async fn look(&self, id: &str) -> Response {
        let mut changed = self.fake.changed.subscribe();
        let wait: u64 = self.query("wait").map_or(0, |wait| wait.parse().unwrap());
        loop {
            {
                let mut books = self.fake.books();
                let Some(job) = books.jobs.get_mut(id) else { return no_job(id) };
                let now = job.views.front().cloned().unwrap();
                let over = now["exit_code"].is_i64() || now["cause"].is_string();
                if job.views.len() > 1 {
                    job.views.pop_front();
                }
                if over || wait == 0 {
                    return reply(200, &now);
                }
                if job.views.len() > 1 {
                    continue;
                }
            }
            changed.changed().await.unwrap();
        }
    }

    fn cancel(&self, id: &str) -> Response {
        let mut books = self.fake.books();
        let Some(job) = books.jobs.get_mut(id) else { return no_job(id) };
        let last = job.views.pop_back().unwrap();
        let stopping = view(id, "stopping", &json!({"tasks": last["tasks"]}));
        let done = json!({"exit_code": 143, "cause": "cancelled", "tasks": last["tasks"]});
        job.views = [view(id, "cancelled", &done)].into();
        drop(books);
        self.fake.changed.send_modify(|count| *count += 1);
        reply(202, &stopping)
    }

    /// What was written, and, following, nothing more until the job is over.
    fn logs(&self, id: &str) -> Response {
        let mut books = self.fake.books();
        let Some(job) = books.jobs.get_mut(id) else { return no_job(id) };
        let attempt = self.query("attempt").map_or(job.logs.len(), |n| n.parse().unwrap());
        let Some(pieces) = attempt.checked_sub(1).and_then(|n| job.logs.get(n)) else {
            return problem(404, "not_found", &format!("no attempt `{attempt}`"));
        };
        let only = self.query("stream");
        let lines: Vec<_> = pieces
            .iter()
            .filter(|(stream, ..)| only.is_none_or(|only| only == *stream))
            .map(|(stream, offset, text)| {
                let data = BASE64.encode(text.as_bytes());
                format!("{}\n", json!({"stream": stream, "offset": offset, "data": data}))
            })
            .collect();
        if job.cut < job.cuts {
            job.cut += 1;
            let mut response = Response::new(Body::from(lines[..job.cut].concat()));
            response.headers_mut().insert("tarpon-more", HeaderValue::from_static("true"));
            return response;
        }
        let mut changed = self.fake.changed.subscribe();
        let (fake, id) = (self.fake.clone(), id.to_owned());
        let live = self.query("follow") == Some("true") && attempt == job.logs.len();
        let end = stream::once(async move {
            let over = |fake: &Fake| {
                let books = fake.books();
                let last = books.jobs.get(&id).and_then(|job| job.views.back().cloned());
                last.is_none_or(|view| view["exit_code"].is_i64() || view["cause"].is_string())
            };
            while live && !over(&fake) {
                changed.changed().await.unwrap();
            }
            Ok::<_, std::io::Error>(Bytes::new())
        });
        let body = stream::iter(lines.into_iter().map(|line| Ok(Bytes::from(line)))).chain(end);
        Response::new(Body::from_stream(body))
    }

    fn output(&self, id: &str) -> Response {
        let books = self.fake.books();
        let Some(job) = books.jobs.get(id) else { return no_job(id) };
        let absent = || problem(404, "not_found", "no output");
        let Some(whole) = &job.archive else { return absent() };
        let Some(member) = self.query("member") else { return self.bytes(whole) };
        let mut tar = tar::Archive::new(&whole[..]);
        for entry in tar.entries().unwrap() {
            let Ok(mut entry) = entry else { break };
            if entry.path().unwrap().to_str() == Some(member) {
                let mut bytes = Vec::new();
                std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
                return self.bytes(&bytes);
            }
        }
        absent()
    }

    /// Bytes, or the range of them that was asked for.
    fn bytes(&self, bytes: &[u8]) -> Response {
        let response = Response::builder().header("etag", "\"e1\"");
        let range = self.headers.get("range").map(|range| range.to_str().unwrap());
        let Some(range) = range else { return response.body(bytes.to_vec().into()).unwrap() };
        let from: usize = range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap();
        if from >= bytes.len() {
            return problem(416, "out_of_range", "beyond the end");
        }
        let told = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
        let response = response.status(StatusCode::PARTIAL_CONTENT).header("content-range", told);
        response.body(bytes[from..].to_vec().into()).unwrap()
    }

    fn create_upload(&self) -> Response {
        let asked: Value = serde_json::from_slice(&self.body).unwrap();
        let mut made =
            json!({"headers": {"x-signed": "yes"}, "expires_at": "2026-01-01T12:00:00Z"});
        if let Some(object) = asked["object"].as_str() {
            made["url"] = format!("/put/objects/{object}").into();
        } else {
            let id = format!("up{}", self.fake.books().uploads.len());
            made["url"] = format!("/put/uploads/{id}").into();
            made["upload_id"] = id.into();
        }
        reply(201, &made)
    }

    fn put(&self, name: &[&str]) -> Response {
        assert_eq!(self.headers["x-signed"], "yes");
        assert!(self.headers.get("authorization").is_none());
        assert!(self.headers.get("transfer-encoding").is_none(), "the length is said before");
        let mut books = self.fake.books();
        let place = if name[0] == "objects" { &mut books.objects } else { &mut books.uploads };
        place.insert(name[1..].join("/"), self.body.to_vec());
        reply(200, &json!({}))
    }
}

fn no_job(id: &str) -> Response {
    problem(404, "not_found", &format!("no job `{id}`"))
}
