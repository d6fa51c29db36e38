//! What the vendor's own client signs, and what is not that.

use http::{HeaderName, HeaderValue};

use super::*;

const SECRET: &str = "EXAMPLEsecretKEY0123456789abcdef";
const HOST: &str = "test-1234567890.ci.ap-chongqing.myqcloud.com";
const TIME: &str = "1699999940;1700010000";
const JOB: &str = "/jobs/c93984788066911ed89ed352d4d9d2084";
const LISTING: &str = "tag=PicProcess&orderByTime=Desc&states=All&size=10&nextToken=\
                       &queueId=p2911917386e148639319e13c285cc774\
                       &startCreationTime=2022-07-18T00%3A00%3A00%2B0800";

/// A request that the client signed, and its signature.
#[derive(Clone)]
struct Vector {
    method: &'static str,
    path: &'static str,
    query: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    host: &'static str,
    header_list: &'static str,
    parameter_list: &'static str,
    hash: &'static str,
    signature: &'static str,
}

impl Vector {
    fn new(method: &'static str, path: &'static str, query: &'static str) -> Self {
        Vector {
            method,
            path,
            query,
            headers: Vec::new(),
            host: HOST,
            header_list: "host",
            parameter_list: "",
            hash: "",
            signature: "",
        }
    }

    fn with(mut self, list: &'static str, headers: &[(&'static str, &'static str)]) -> Self {
        self.header_list = list;
        self.headers = headers.to_vec();
        self
    }

    fn parameters(self, parameter_list: &'static str) -> Self {
        Vector { parameter_list, ..self }
    }

    fn gives(self, hash: &'static str, signature: &'static str) -> Self {
        Vector { hash, signature, ..self }
    }

    fn signature(&self) -> Signature {
        Signature {
            key_id: "AKIDEXAMPLE0000000000000000000000000".into(),
            sign_time: TIME.into(),
            key_time: TIME.into(),
            headers: self.header_list.into(),
            parameters: self.parameter_list.into(),
            tag: self.signature.into(),
        }
    }

    /// What comes of asking with the request.
    fn asked<T>(&self, ask: impl FnOnce(Covered<'_>) -> T) -> T {
        let query = pairs(self.query);
        let header = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let headers: HeaderMap = self.headers.iter().map(header).collect();
        let Vector { method, path, host, .. } = *self;
        ask(Covered { method, path, query: &query, headers: &headers, host })
    }

    fn fits(&self, signature: &Signature) -> bool {
        self.asked(|covered| signature.fits(SECRET, covered))
    }
}

fn vectors() -> Vec<Vector> {
    let xml = ("content-type", "application/xml");
    let (length, empty) = (("content-length", "40"), ("content-length", "0"));
    let all = "content-length;content-type;host";
    vec![
        Vector::new("POST", "/jobs", "").with(all, &[length, xml]).gives(
            "46dc6316a41b2fb5e97f511f656391e333e2edd6",
            "0b4fadce13c4ec00e8c7c5179fcf5a9b208219e0",
        ),
        Vector::new("POST", "/jobs", "").with("content-length;host", &[length]).gives(
            "c0c47b62fae8e021cca69de91b4580e762966438",
            "237ffcc243d7326309667e93da3a615add9b26e6",
        ),
        Vector { host: "127.0.0.1", ..Vector::new("POST", "/jobs", "") }
            .with(all, &[length, xml])
            .gives(
                "1529e408867108172543a6893cb1c5daed934d94",
                "363e7d7b479211a68918b1631aebbc3a1d970e56",
            ),
        Vector::new("GET", JOB, "").gives(
            "354a0cd313e95525782a12c4c7e4ed0b4d1c7311",
            "3c792152289b1168fdc6ac951e5a076f50980e7c",
        ),
        Vector::new("GET", "/jobs", LISTING)
            .parameters("nexttoken;orderbytime;queueid;size;startcreationtime;states;tag")
            .gives(
                "53969b3b2fb552509fed3716b1f607a567176aa0",
                "9389390925a753abf59039841e05842d1d7f615e",
            ),
        Vector::new("PUT", JOB, "cancel").with("content-length;host", &[empty]).gives(
            "93e8d9ca97891efd7712c572d74761f2be3556f8",
            "b7a2227d796a8f74499f283f394119f5552815fd",
        ),
        Vector::new("GET", "/picqueue", "queueIds=&state=All&pageNumber=1&pageSize=10")
            .with("host;x-ci-security-token", &[("x-ci-security-token", "tok/1+2=")])
            .parameters("pagenumber;pagesize;queueids;state")
            .gives(
                "25f4e6b842639f4ea36cca7e8b367578ded5ad56",
                "281fc8ca536e6246bc9434021d92a30cc022a033",
            ),
    ]
}

#[test]
fn what_the_vendors_client_signs_fits() {
    for vector in vectors() {
        let signature = vector.signature();
        let text = vector.asked(|covered| signature.http_string(covered)).unwrap();
        assert_eq!(sha1_hex(text.as_bytes()), vector.hash, "{text}");
        assert!(vector.fits(&signature), "{text}");
        assert!(!vector.asked(|covered| signature.fits("another secret", covered)));
    }
}

#[test]
fn the_parts_are_put_together_as_the_vendor_says() {
    let text = |place: usize| {
        let vector = &vectors()[place];
        vector.asked(|covered| vector.signature().http_string(covered)).unwrap()
    };
    assert_eq!(
        text(0),
        format!("post\n/jobs\n\ncontent-length=40&content-type=application%2Fxml&host={HOST}\n")
    );
    assert_eq!(
        text(6),
        format!(
            "get\n/picqueue\npagenumber=1&pagesize=10&queueids=&state=All\n\
             host={HOST}&x-ci-security-token=tok%2F1%2B2%3D\n"
        )
    );
}

/// The text with each of its bytes changed in turn.
fn changed(text: &str) -> impl Iterator<Item = String> {
    (0..text.len()).map(|place| {
        let mut bytes = text.as_bytes().to_vec();
        // No digit, lest an escape become another spelling of itself.
        bytes[place] = if bytes[place] == b'x' { b'y' } else { b'x' };
        String::from_utf8(bytes).unwrap()
    })
}

#[test]
fn a_signature_is_refused_when_any_byte_of_it_is_another() {
    type Part = fn(&mut Signature) -> &mut String;
    let parts: [Part; 5] = [
        |signature| &mut signature.sign_time,
        |signature| &mut signature.key_time,
        |signature| &mut signature.headers,
        |signature| &mut signature.parameters,
        |signature| &mut signature.tag,
    ];
    for vector in vectors() {
        for part in parts {
            let whole = part(&mut vector.signature()).clone();
            for other in changed(&whole) {
                let mut signature = vector.signature();
                *part(&mut signature) = other;
                assert!(!vector.fits(&signature), "{signature:?}");
            }
        }
    }
}

#[test]
fn a_request_is_refused_when_any_byte_of_what_is_listed_is_another() {
    let leaked = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
    for vector in vectors() {
        let signature = vector.signature();
        let mut others = Vec::new();
        others.extend(changed(vector.path).map(|it| Vector { path: leaked(it), ..vector.clone() }));
        others.extend(changed(vector.host).map(|it| Vector { host: leaked(it), ..vector.clone() }));
        if !vector.parameter_list.is_empty() {
            let query = |it| Vector { query: leaked(it), ..vector.clone() };
            others.extend(changed(vector.query).map(query));
        }
        for place in 0..vector.headers.len() {
            others.extend(changed(vector.headers[place].1).map(|value| {
                let mut other = vector.clone();
                other.headers[place].1 = leaked(value);
                other
            }));
            let mut without = vector.clone();
            without.headers.remove(place);
            others.push(without);
        }
        others.push(Vector { method: "DELETE", ..vector.clone() });
        for other in others {
            assert!(!other.fits(&signature), "{} {}?{}", other.method, other.path, other.query);
        }
    }
}

#[test]
fn only_the_time_between_both_bounds_of_both_windows_is_right() {
    let at = |now: i64, key_time: &str| {
        let mut signature = vectors()[0].signature();
        signature.key_time = key_time.into();
        signature.good_until(now).map(drop).map_err(|fault| fault.code)
    };
    for (now, code) in [
        (1_699_999_939, Err("RequestTimeTooSkewed")),
        (1_699_999_940, Ok(())),
        (1_700_010_000, Ok(())),
        (1_700_010_001, Err("AccessDenied")),
    ] {
        assert_eq!(at(now, TIME), code, "{now}");
        assert_eq!(at(now, "0;9999999999"), code, "{now}");
    }
    assert_eq!(at(1_700_000_000, "0;1699999999"), Err("AccessDenied"));
    assert_eq!(at(1_700_000_000, "1700000001;1800000000"), Err("RequestTimeTooSkewed"));
    for window in ["", "1", "a;b", "-1;9999999999", "1;2;3", "+1;9999999999", "1;"] {
        assert_eq!(at(1_700_000_000, window), Err("AccessDenied"), "{window}");
    }
}

#[test]
fn what_is_no_signature_is_refused() {
    let fields = |left_out: &str| {
        [
            ("q-sign-algorithm", "sha1"),
            ("q-ak", "a"),
            ("q-sign-time", TIME),
            ("q-key-time", TIME),
            ("q-header-list", ""),
            ("q-url-param-list", ""),
            ("q-signature", "b"),
        ]
        .into_iter()
        .filter(|(name, _)| *name != left_out)
        .collect::<Vec<_>>()
    };
    assert!(Signature::read(&fields("")).is_ok());
    for (name, _) in fields("") {
        assert_eq!(Signature::read(&fields(name)).unwrap_err().code, "AccessDenied", "{name}");
    }
    let mut other = fields("q-sign-algorithm");
    other.push(("q-sign-algorithm", "sha256"));
    assert!(Signature::read(&other).is_err());
}

#[test]
fn a_list_that_is_too_long_signs_nothing() {
    let of = |count: usize| listed(&vec!["a"; count].join(";"), |_| Some(Cow::Borrowed("v")));
    assert!(of(MOST_LISTED).is_some());
    assert_eq!(of(MOST_LISTED + 1), None);
}
