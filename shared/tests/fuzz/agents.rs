//! What agents send, or what shares a container with one: it is believed no
//! further than it can be checked, and breaks nothing.

use data_encoding::BASE64;
use proptest::prelude::*;
use serde_json::{Value, json};
use shared::{
    agent::{LogBatch, Plan, Report, UploadRequest},
    conformance::memory::World,
    ops::{attempts, jobs, logs},
    wire::Problem,
};

use crate::{
    any::{is_refused, nearly},
    requests::waited_for,
};

fn report() -> Value {
    json!({
        "exit": {"code": 0}, "cause": "exited", "message": "m", "started_at": "2026-03-01T12:00:00Z",
        "ended_at": "2026-03-01T12:00:01Z",
        "usage": {"wall_ms": u64::MAX, "cpu_ms": 1, "peak_memory_bytes": 1, "input_bytes": 0,
                  "output_bytes": 0},
        "archive": {"bytes": 5, "sha256": null, "manifest_sha256": "", "etag": "e", "members": 1},
        "stdout_tail": BASE64.encode(b"tail"), "stderr_tail": "", "stdout_bytes": 4,
        "stderr_bytes": 0,
    })
}

fn batch() -> Value {
    json!({"pieces": [
        {"stream": "stdout", "offset": 0, "data": BASE64.encode(b"one")},
        {"stream": "stderr", "offset": u64::MAX, "data": BASE64.encode(b"two")},
        {"stream": "stdout", "offset": 2, "data": BASE64.encode(b"three")},
    ]})
}

fn answered(outcome: Result<(), Problem>) {
    if let Err(problem) = outcome {
        assert!(is_refused(&problem), "{problem:?}");
    }
}

proptest! {
    // Each is a whole job's life.
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 4, ..ProptestConfig::default() })]

    #[test]
    fn whatever_an_agent_sends_its_job_ends_once(
        batches in prop::collection::vec(nearly(batch()), 0..3),
        reports in prop::collection::vec(nearly(report()), 1..4),
    ) {
        waited_for(async {
            let world = World::new().await;
            let job = world.submit(r#"{"image": "a"}"#).await.id;
            let (attempt, _) = world.start(job).await;
            for batch in batches {
                if let Ok(batch) = serde_json::from_value::<LogBatch>(batch) {
                    answered(logs::append(&world.service, attempt, batch).await);
                }
            }
            let mut ended = None;
            for report in reports {
                let Ok(report) = serde_json::from_value::<Report>(report) else { continue };
                answered(attempts::report(&world.service, attempt, report).await);
                let job = world.job(job).await;
                let first = ended.get_or_insert_with(|| job.clone());
                assert_eq!((&job.phase, &job.tasks), (&first.phase, &first.tasks));
                jobs::view(&world.service, &job).await.unwrap();
            }
            assert!(ended.is_none_or(|job| job.ending().is_some()));
        });
    }
}

proptest! {
    #[test]
    fn what_agents_are_told_and_tell_is_read_as_it_was_written(
        report in nearly(report()), batch in nearly(batch()),
        upload in nearly(json!({"bytes": 7, "exit": {"signal": 9}})),
        plan in nearly(json!({
            "argv": ["a"], "env": {"A": "1"}, "workdir": "/", "stdin": {"inline": ""},
            "inputs": [{"path": "/a", "source": {"url": "/x"}, "mode": 420}], "outputs": ["/o"],
            "timeout_seconds": 1, "grace_seconds": 1, "collect_seconds": 1, "layout": "native",
            "image": "i", "log_limit": 1,
        })),
    ) {
        macro_rules! reads_back {
            ($type:ty, $value:expr) => {
                if let Ok(read) = serde_json::from_value::<$type>($value) {
                    let written = serde_json::to_vec(&read).unwrap();
                    prop_assert_eq!(serde_json::from_slice::<$type>(&written).unwrap(), read);
                }
            };
        }
        reads_back!(Report, report);
        reads_back!(LogBatch, batch);
        reads_back!(UploadRequest, upload);
        reads_back!(Plan, plan);
    }
}
