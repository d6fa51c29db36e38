//! Two gibibytes through the agent and the server and back, in little memory.

use std::io::{Read, sink};

use futures::TryStreamExt;
use reqwest::Method;
use serde_json::json;
use sha2::{Digest, Sha256};
use tests::{Agent, Memory, World, is_over, pattern_sha256, until};
use tokio_util::io::{StreamReader, SyncIoBridge};

stories! {
    docker:
        two_gibibytes_go_through_in_little_memory;
}

const BYTES: u64 = 2 << 30;
const LITTLE: u64 = 64 << 20;

async fn two_gibibytes_go_through_in_little_memory(world: &mut World) {
    let free = world.free_disk_bytes();
    assert!(free > 4 * BYTES, "this story needs 8 GiB of disk, and {} MiB are free", free >> 20);
    let client = &world.client;
    // What is idle is only seen once everything has been used a first time.
    client.run(world.probe("say warm")).await;
    let idle = world.memory();

    let job = world.probe(&format!("fill /out/big {BYTES}")).keep("/out/big");
    let job = job.with("resources", json!({"cpu": 2}));
    let job = client.submit(job).await;
    let agent = until("its agent is there", async || Agent::of(world, &job));
    let agent = agent.await;
    let mut most = Memory { now: 0, peak: 0 };
    loop {
        most = agent.memory().unwrap_or(most);
        let view = client.get(&format!("/v1/jobs/{job}?wait=1")).await.expect(200).json();
        if is_over(&view) {
            assert_eq!(view["state"], "succeeded", "{view:#}");
            break;
        }
    }
    assert!(most.peak > 0 && most.peak < LITTLE, "the agent held {} KiB", most.peak >> 10);

    let path = format!("/v1/jobs/{job}/output");
    let answer = client.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let length = answer.content_length().unwrap();
    let bytes = answer.bytes_stream().map_err(std::io::Error::other);
    let reader = SyncIoBridge::new(StreamReader::new(bytes));
    let read = tokio::task::spawn_blocking(move || digest(reader)).await.unwrap();
    assert_eq!(
        read,
        (length, data_encoding::HEXLOWER.decode(pattern_sha256(BYTES).as_bytes()).unwrap())
    );

    let grown = world.memory().peak.saturating_sub(idle.now);
    eprintln!("the agent held {} KiB, the server grew by {} KiB", most.peak >> 10, grown >> 10);
    assert!(grown < LITTLE, "the server grew by {} KiB", grown >> 10);
}

/// The archive's length, and the digest of its one output.
fn digest(archive: impl Read) -> (u64, Vec<u8>) {
    let mut counted = Counted { inner: archive, bytes: 0 };
    let mut found = Vec::new();
    let mut tar = tar::Archive::new(&mut counted);
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.path().unwrap().as_os_str() == "out/big" {
            let mut digest = Sha256::new();
            let mut buffer = vec![0; 1 << 20];
            loop {
                match entry.read(&mut buffer).unwrap() {
                    0 => break,
                    length => digest.update(&buffer[..length]),
                }
            }
            found = digest.finalize().to_vec();
        }
    }
    std::io::copy(&mut counted, &mut sink()).unwrap();
    (counted.bytes, found)
}

struct Counted<R> {
    inner: R,
    bytes: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.bytes += length as u64;
        Ok(length)
    }
}
