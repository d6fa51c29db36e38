//! Signatures that the vendor's own client made, at a fixed time.

use super::*;

const ID: &str = "AKIDEXAMPLE0000000000000000000000000";
const SECRET: &str = "EXAMPLEsecretKEY0123456789abcdef";
const PUBLIC: &str = "batch.tencentcloudapi.com";
const LOCAL: &str = "127.0.0.1:8080";
/// Whom a client asks that is told to go to a function's own address.
const FUNCTION: &str = "abcdefghijklmnopqrstuvwxyz012345.lambda-url.us-east-1.on.aws";
const BODY: &str = r#"{"JobId": "job-4yn0we13"}"#;
const JOB: &str = "JobId=job-4yn0we13";
const FILTERS: &str =
    "Filters.0.Name=job-name&Filters.0.Values.0=a+b&Filters.0.Values.1=c%2Fd&Limit=20";

/// The time of all of them.
fn then() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

fn request(method: &str, host: &str, said: &str) -> String {
    let (media_type, query, body) = match method {
        "POST" => ("application/json", "", said),
        _ => ("application/x-www-form-urlencoded", said, ""),
    };
    let headers = [("content-type", media_type.to_owned()), ("host", host.to_owned())];
    canonical(method, query, &headers, &sha256_hex(body.as_bytes()))
}

/// By their numbers: who is asked, how, what for; the request's hash, and the
/// signature.
const VECTORS: [(&str, &str, &str, &str, &str); 6] = [
    (
        PUBLIC,
        "POST",
        BODY,
        "390db0307f481339483d7b0d2f7f4028e0c307e5ff275c41ea09b3c8587a972d",
        "a4929526feabde5da2f7a1f0f220970360a82d0cece3e474f233a6686c8f2f99",
    ),
    (
        PUBLIC,
        "GET",
        JOB,
        "96b281ceada170d6638c070e855d2947bcc612740cbce5118fc53c5517632346",
        "d495622c95a6cbe980a0ddb86104462398fd076135ba07e0afb70259733e041f",
    ),
    (
        PUBLIC,
        "GET",
        FILTERS,
        "fa27a342bfab4704762b9850681015cb1ccea2e0b059bc8a0b2976328028f8ec",
        "4175f9c0ecdd90c3d8bda6b4b92072257d4d68bc3daa018058390c992e8dd6ce",
    ),
    (
        LOCAL,
        "POST",
        BODY,
        "3e8a8f1f02fabb156ea945750f0ba23fd3e056730b381ddb1ca9a95ee9218ae7",
        "c7407daca84e3bb85d1728d54f299a9a58054502594b39d564b452a294afcd2c",
    ),
    (
        LOCAL,
        "GET",
        JOB,
        "add581db4299fcf2a7572b77c11c5af1c7760277b7bbd30106e2ca353a9314b2",
        "0993beea11546ab6bf6cd39a91df69d259cfbbcc5a51e6d402013f4e9f995dcb",
    ),
    (
        LOCAL,
        "GET",
        FILTERS,
        "b07b9f9a077bb32efa8d5f64d90a15322da643466bae4afef1ebc428a576ade1",
        "6331a4508bca878e42753b4587bcfcd7a7ff981ec927b17fb34c6ff74947ea01",
    ),
];

#[test]
fn the_keys_follow_from_the_secret_the_date_and_the_service() {
    let key = hmac_sha256(format!("TC3{SECRET}").as_bytes(), b"2023-11-14");
    assert_eq!(hex(&key), "1fcaffbd27bd4519b22946e3ed75768b165b12912f312bd7d3ded57a7256c7d8");
    let key = hmac_sha256(&key, b"batch");
    assert_eq!(hex(&key), "ba951b861aaf967d5e972e321900395ddd197f9f1f4abae1402cac7ac879811a");
    assert_eq!(
        hex(&signing_key(SECRET, "2023-11-14", "batch")),
        "621369b22f4e9ddd74a8ac27e3c687a8ad14f9245e88c36efb8bfdfa1760b65d"
    );
}

#[test]
fn every_tc3_signature_is_the_vendors() {
    assert_eq!(
        request("POST", PUBLIC, BODY),
        "POST\n/\n\ncontent-type:application/json\nhost:batch.tencentcloudapi.com\n\n\
         content-type;host\n574c2b255f180998f457a18d90427ee5691b585a7e3504ff6144022f462192b1"
    );
    for (number, (host, method, said, hash, signature)) in (1..).zip(VECTORS) {
        let request = request(method, host, said);
        assert_eq!(sha256_hex(request.as_bytes()), hash, "{number}");
        assert_eq!(tc3(SECRET, then(), "batch", &request), signature, "{number}");
    }
}

#[test]
fn no_tc3_signature_fits_another_request_time_or_secret() {
    for (number, (host, method, said, _, signature)) in (1..).zip(VECTORS) {
        let whole = request(method, host, said);
        for place in 0..whole.len() {
            let mut changed = whole.clone().into_bytes();
            changed[place] ^= 1;
            let changed = String::from_utf8(changed).unwrap();
            assert_ne!(tc3(SECRET, then(), "batch", &changed), signature, "{number}, byte {place}");
        }
        let later = Timestamp::from_second(1_700_000_001).unwrap();
        assert_ne!(tc3(SECRET, later, "batch", &whole), signature, "{number}");
        assert_ne!(tc3(SECRET, then(), "cvm", &whole), signature, "{number}");
        let other = SECRET.to_lowercase();
        assert_ne!(tc3(&other, then(), "batch", &whole), signature, "{number}");
    }
}

/// What the vendor's client for Node.js writes of its JSON and of a space.
const NODE_BODY: &str = r#"{"JobId":"job-4yn0we13"}"#;
const NODE_FILTERS: &str =
    "Filters.0.Name=job-name&Filters.0.Values.0=a%20b&Filters.0.Values.1=c%2Fd&Limit=20";

/// Those that the vendor's client for Node.js made: the host as it signs it, and
/// the service as it takes it from the endpoint; how, what for; the signature.
const NODE: [(&str, &str, &str, &str, &str); 7] = [
    (
        "127.0.0.1",
        "127",
        "POST",
        NODE_BODY,
        "46d61499dbfa52436c49e1f72828b2db61529b4830be11a0145a1b1171d50724",
    ),
    (
        "127.0.0.1",
        "127",
        "GET",
        JOB,
        "fe6b724609599f6cd7d177b71210bbeadd77360de5ea69e827f194ffdbe01a6d",
    ),
    (
        "127.0.0.1",
        "127",
        "GET",
        NODE_FILTERS,
        "5dd4527f887e3e0ae461810ae1be0cfbedd28bfb3324498198ea49a5d951cf54",
    ),
    (
        "localhost",
        "localhost:8080",
        "POST",
        NODE_BODY,
        "c84e2b31ad2f31e1edfc9470e06b3883c23917e9f4e027da6b051fcfe5d44855",
    ),
    (
        FUNCTION,
        "abcdefghijklmnopqrstuvwxyz012345",
        "POST",
        NODE_BODY,
        "40dde6d4d81ebf62bd58ce487609b1d84925134f58884c7decdbe74c9089e3cb",
    ),
    (
        FUNCTION,
        "abcdefghijklmnopqrstuvwxyz012345",
        "GET",
        JOB,
        "8eb8d8d8c869f7eb740f1a832a5fcc18b21f8fec92037aaffe87e99cbf0670ee",
    ),
    (
        PUBLIC,
        "batch",
        "POST",
        NODE_BODY,
        "f46090ec26c2656258a09b3d1d8e1edc67fe82ee81fae6047e3da50170d24035",
    ),
];

#[test]
fn every_tc3_signature_of_another_service_is_the_vendors() {
    for (host, service, method, said, signature) in NODE {
        let request = request(method, host, said);
        assert_eq!(tc3(SECRET, then(), service, &request), signature, "{method} {host}");
    }
}

#[test]
fn the_day_of_a_time_is_that_of_utc() {
    for (second, day) in [
        (1_699_919_999, "2023-11-13"),
        (1_699_920_000, "2023-11-14"),
        (1_700_006_400, "2023-11-15"),
    ] {
        assert_eq!(date(Timestamp::from_second(second).unwrap()), day);
    }
}

#[test]
fn a_host_is_known_without_its_port() {
    for (host, wanted) in [
        (LOCAL, "127.0.0.1"),
        ("localhost:8080", "localhost"),
        ("[::1]:8080", "[::1]"),
        ("[::1]", "[::1]"),
        (PUBLIC, PUBLIC),
        ("", ""),
    ] {
        assert_eq!(without_port(host), wanted);
    }
}

/// The parameters of every older signature, but for the method of it.
fn pairs(hash: &str, own: &[(&str, &str)]) -> Vec<(String, String)> {
    let common = [
        ("RequestClient", "SDK_PYTHON_3.1.171"),
        ("Nonce", "123456789"),
        ("Timestamp", "1700000000"),
        ("Version", "2017-03-12"),
        ("Region", "ap-guangzhou"),
        ("SecretId", ID),
        ("SignatureMethod", hash),
        ("Language", "en-US"),
    ];
    let all = own.iter().chain(&common);
    all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

const DESCRIBE: [(&str, &str); 2] = [("JobId", "job-4yn0we13"), ("Action", "DescribeJob")];

/// From the seventh on: who is asked, how, by which hash; the signature.
const OLDER: [(&str, &str, &str, Hash, &str); 5] = [
    (PUBLIC, "GET", "HmacSHA1", Hash::Sha1, "AdfEuDnqgUWAaiPMstrq6jOSsq0="),
    (PUBLIC, "POST", "HmacSHA1", Hash::Sha1, "HUoxCVn3rxwpf/ffqENBdSvl9Lk="),
    (PUBLIC, "GET", "HmacSHA256", Hash::Sha256, "XOzNrGJm2Y62L1ikHWgXX04RXgscpNyYU3BnVost1kQ="),
    (PUBLIC, "POST", "HmacSHA256", Hash::Sha256, "4ODoMk0t8+uiBs4xPyrhpAmDzP3/yD5gTHI4HMQGq48="),
    (LOCAL, "GET", "HmacSHA256", Hash::Sha256, "AOm2jnTiOQO5zgMdvvc9bv0a/r6o+CN7+IZiG28rspk="),
];

#[test]
fn every_older_signature_is_the_vendors() {
    assert_eq!(
        in_one("GET", PUBLIC, &pairs("HmacSHA1", &DESCRIBE)),
        "GETbatch.tencentcloudapi.com/?Action=DescribeJob&JobId=job-4yn0we13&Language=en-US\
         &Nonce=123456789&Region=ap-guangzhou&RequestClient=SDK_PYTHON_3.1.171\
         &SecretId=AKIDEXAMPLE0000000000000000000000000&SignatureMethod=HmacSHA1\
         &Timestamp=1700000000&Version=2017-03-12"
    );
    for (number, (host, method, word, hash, signature)) in (7..).zip(OLDER) {
        let text = in_one(method, host, &pairs(word, &DESCRIBE));
        assert_eq!(older(SECRET, hash, &text), signature, "{number}");
    }
}

#[test]
fn values_are_signed_as_they_are_before_they_are_encoded() {
    let own = [
        ("Placement.Zone", "ap-guangzhou-2"),
        ("Job.JobName", "t"),
        ("Job.Tasks.0.TaskName", "a_b"),
        ("Job.Tasks.0.Application.Command", "echo hi & id"),
        ("Action", "SubmitJob"),
    ];
    let text = in_one("POST", PUBLIC, &pairs("HmacSHA256", &own));
    let signature = "jb3i8G5keScEEfx4aKTWXCPROZJSTmOjIBTgbqNkzFo=";
    assert_eq!(older(SECRET, Hash::Sha256, &text), signature);
}

#[test]
fn no_older_signature_fits_another_request() {
    for (number, (host, method, word, hash, signature)) in (7..).zip(OLDER) {
        let text = in_one(method, host, &pairs(word, &DESCRIBE));
        for place in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[place] ^= 1;
            let changed = String::from_utf8(changed).unwrap();
            assert_ne!(older(SECRET, hash, &changed), signature, "{number}, byte {place}");
        }
    }
}

#[test]
fn only_an_authorization_that_signs_enough_is_one() {
    let good = "TC3-HMAC-SHA256 Credential=AKID/2023-11-14/batch/tc3_request, \
                SignedHeaders=content-type;host, Signature=ab";
    let wanted = Authorization {
        id: "AKID",
        date: "2023-11-14",
        service: "batch",
        headers: vec!["content-type", "host"],
        signature: "ab",
    };
    assert_eq!(Authorization::parse(good), Some(wanted));
    for (_, service, ..) in NODE {
        let other = good.replace("/batch/", &format!("/{service}/"));
        assert_eq!(Authorization::parse(&other).map(|said| said.service), Some(service));
    }
    for (from, to) in [
        ("TC3-HMAC-SHA256 ", "TC3-HMAC-SHA1 "),
        ("TC3-HMAC-SHA256 ", ""),
        ("/batch/", "//"),
        ("/batch/", "/ba tch/"),
        ("/batch/", "/ba\ntch/"),
        ("/batch/", "/批/"),
        ("/batch/", &format!("/{}/", "b".repeat(70))),
        ("/tc3_request", ""),
        ("/tc3_request", "/tc3_request/more"),
        ("AKID", ""),
        ("content-type;host", "content-type"),
        ("content-type;host", "host"),
        (", Signature=ab", ""),
        ("SignedHeaders", "Headers"),
    ] {
        assert_eq!(Authorization::parse(&good.replace(from, to)), None, "{from} -> {to}");
    }
}
