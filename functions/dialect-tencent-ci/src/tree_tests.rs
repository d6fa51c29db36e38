//! What is a document here, and what is none.

use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Result<Fields, String> {
    Fields::read("Request", text.as_bytes()).map_err(|problem| problem.to_string())
}

#[test]
fn a_document_is_read_as_the_vendors_clients_write_it() {
    let text = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<Request><Tag>PicProcess</Tag>\
                <Input><Object>a&amp;&#98;<![CDATA[<c>]]></Object></Input><Empty/>\
                <Operation><N>1</N></Operation><Operation>\n <N>2</N>\n</Operation></Request>";
    let request = read(text).unwrap();
    assert_eq!(request.text("Tag"), Some("PicProcess"));
    assert_eq!(request.fields("Input").unwrap().text("Object"), Some("a&b<c>"));
    assert_eq!((request.text("Empty"), request.fields("Empty")), (None, None));
    let spaced =
        read("<Request xmlns:a=\"http://a.example/\"><b xml:space=\"preserve\"/></Request>");
    assert_eq!(spaced.unwrap(), Fields::new().with("b", ""));
    let all: Vec<_> =
        request.all("Operation").filter_map(|operation| operation.text("N")).collect();
    assert_eq!(all, ["1", "2"]);
}

#[test]
fn what_is_no_document_of_ours_is_refused() {
    let deep = "<a>".repeat(40);
    for (text, why) in [
        ("", "breaks off"),
        ("<Request>", "breaks off"),
        ("<Request><a></b></Request>", "it is not XML"),
        ("<Other/>", "its root is `Other`"),
        ("<Request>text</Request>", "text where elements belong"),
        ("<Request><a>b<c/></a></Request>", "text between its elements"),
        ("<Request/><Request/>", "several roots"),
        ("<Request/>text", "outside of its root"),
        ("<!DOCTYPE a [<!ENTITY b \"c\">]><Request/>", "document type"),
        ("<Request><a>&b;</a></Request>", "no entity `b`"),
        ("<Request><a>&#0;</a></Request>", "no entity `#0`"),
        ("<Request><a$b/></Request>", "no name of an element"),
        ("<Request><a b=\"c\">d</a></Request>", "`a` has the attribute `b`"),
        ("<Request b=\"c\"/>", "`Request` has the attribute `b`"),
        ("<Request><a xmlns=\"x\" xmlns=\"y\"/></Request>", "it is not XML"),
        (deep.as_str(), "too deep"),
    ] {
        let refused = read(text).unwrap_err();
        assert!(refused.contains(why), "{text}: {refused}");
    }
    assert!(Fields::read("Request", b"<Request>\xff</Request>").is_err());
}

#[test]
fn what_repeats_is_a_list_in_json_and_repeats_in_xml() {
    let one = || Fields::new().with("N", 1);
    let fields = Fields::new()
        .with("A", "x")
        .with("B", one())
        .with("C", vec![one()])
        .with("A", "y")
        .with("D", "");
    assert_eq!(fields.xml("R"), "<R><A>x</A><B><N>1</N></B><C><N>1</N></C><A>y</A><D/></R>");
    let json = serde_json::to_string(&fields).unwrap();
    assert_eq!(json, r#"{"A":["x","y"],"B":{"N":1},"C":[{"N":1}],"D":""}"#);
}

proptest! {
    #[test]
    fn every_text_is_read_back_as_it_was_written(text in "[ -~\u{a0}-\u{d7ff}\r\n\t]*") {
        let written = Fields::new().with("T", text.as_str()).xml("Request");
        let read = Fields::read("Request", written.as_bytes()).unwrap();
        let blank = text.trim().is_empty();
        let expected = if blank { String::new() } else { text.clone() };
        prop_assert_eq!(read.value("T"), Some(&Value::Text(expected)));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, text in "[<>/a&;#x0 !\\[\\]-]*") {
        let _ = (Fields::read("a", &bytes), Fields::read("a", text.as_bytes()));
    }

    #[test]
    fn what_is_written_can_be_read_whatever_it_is(text: String) {
        let written = Fields::new().with("T", text).xml("Request");
        prop_assert!(Fields::read("Request", written.as_bytes()).is_ok());
    }
}
