//! Reading an archive in part.

use reqwest::Method;
use tests::{World, send, sha256};

stories! {
    both:
        one_member_is_read_out_of_an_archive,
        any_range_of_an_archive_is_read;
    aws:
        one_member_is_read_out_of_an_archive,
        any_range_of_an_archive_is_read;
}

async fn one_member_is_read_out_of_an_archive(world: &mut World) {
    let client = &world.client;
    let (file, link) = (world.place("out/a b.txt"), world.place("out/link"));
    let job = world
        .probe_words(&[
            "write",
            &file,
            "in a file",
            "then",
            "link",
            "a b.txt",
            &link,
            "then",
            "say",
            "x",
        ])
        .keep(&world.place("out"));
    let (view, archive) = client.run(job).await;
    let output = format!("/v1/jobs/{}/output", view["id"].as_str().unwrap());
    let member = |name: &str| client.request(Method::GET, &output).query(&[("member", name)]);

    let got = send(member(&file)).await.expect(200);
    assert_eq!(got.header("content-type"), "application/octet-stream");
    assert_eq!(got.body, "in a file");
    assert_eq!(send(member(file.trim_start_matches('/'))).await.expect(200).body, "in a file");
    assert_eq!(send(member("Stdout")).await.expect(200).body, "x\n");
    let part = send(member(&file).header("range", "bytes=3-3")).await.expect(206);
    assert_eq!((part.text(), part.header("content-range")), ("a", "bytes 3-3/9"));
    send(member("/never")).await.problem(404, "not_found");
    assert_eq!(
        sha256(&archive.bytes),
        sha256(&send(client.request(Method::GET, &output)).await.body)
    );
}

async fn any_range_of_an_archive_is_read(world: &mut World) {
    let client = &world.client;
    let (view, archive) = client.run(world.probe("spew 100000")).await;
    let job = view["id"].as_str().unwrap();
    let output = format!("/v1/jobs/{job}/output");
    let size = archive.bytes.len();

    let head = send(client.request(Method::HEAD, &output)).await.expect(200);
    assert_eq!(head.header("content-length"), size.to_string());
    assert_eq!(head.header("accept-ranges"), "bytes");
    assert!(head.header("content-disposition").contains(&format!("{job}.tar")));
    let etag = head.header("etag").to_owned();
    assert!(etag.starts_with('"'), "{etag}");

    for (range, first, last) in [
        ("bytes=0-0".to_owned(), 0, 0),
        ("bytes=512-1023".to_owned(), 512, 1023),
        ("bytes=70000-".to_owned(), 70_000, size - 1),
        ("bytes=-100".to_owned(), size - 100, size - 1),
        (format!("bytes=5-{}", size * 2), 5, size - 1),
    ] {
        let part = client.request(Method::GET, &output).header("range", &range);
        let part = send(part).await.expect(206);
        assert_eq!(part.header("content-range"), format!("bytes {first}-{last}/{size}"), "{range}");
        assert_eq!(part.header("etag"), etag);
        assert!(part.body == archive.bytes[first..=last], "{range}");
    }
    let beyond = client.request(Method::GET, &output).header("range", format!("bytes={size}-"));
    let beyond = send(beyond).await;
    beyond.problem(416, "out_of_range");
    assert_eq!(beyond.header("content-range"), format!("bytes */{size}"));
}
