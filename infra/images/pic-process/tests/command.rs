//! The command as its callers meet it: streams, files and exit codes.

use std::{
    env, fs,
    io::Write,
    process::{Command, Output, Stdio},
};

const PHOTOGRAPH: &[u8] = include_bytes!("../../../../tests/data/chelsea.jpg");

fn run(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_pic-process"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    // It may end without reading, which is its own affair.
    let _ = child.stdin.take().expect("stdin is piped").write_all(input);
    child.wait_with_output().expect("the command ends")
}

fn refused(arguments: &[&str], input: &[u8]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = run(arguments, input);
    assert_eq!(stdout, b"", "a refusal leaves no half result");
    (status.code(), String::from_utf8(stderr).expect("messages are text"))
}

#[test]
fn a_picture_goes_from_stdin_to_stdout() {
    let Output { status, stdout, stderr } = run(&["imageMogr2/format/png"], PHOTOGRAPH);
    assert_eq!((status.code(), stderr.as_slice()), (Some(0), b"".as_slice()));
    assert!(stdout.starts_with(b"\x89PNG"));
}

#[test]
fn a_picture_goes_from_file_to_file_with_its_info() {
    let folder = env::temp_dir().join(format!("tarpon-pic-process-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let path = |name: &str| folder.join(name).display().to_string();
    let (input, output, info) = (path("in.jpg"), path("out.webp"), path("info.json"));
    fs::write(&input, PHOTOGRAPH).unwrap();

    let done = run(
        &["format/webp/quality/9", "--input", &input, "--output", &output, "--info", &info],
        b"",
    );

    assert_eq!((done.status.code(), done.stdout.as_slice()), (Some(0), b"".as_slice()));
    assert_eq!(done.stderr, b"pic-process: quality has no effect: WebP is written lossless\n");
    assert_eq!(&fs::read(output).unwrap()[8..12], b"WEBP");
    let info: serde_json::Value = serde_json::from_slice(&fs::read(info).unwrap()).unwrap();
    assert_eq!(
        (&info["result"]["format"], &info["result"]["width"]),
        (&"WEBP".into(), &300.into())
    );
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn each_kind_of_failure_has_its_exit_code_and_one_line() {
    assert_eq!(
        refused(&["rotate/400"], PHOTOGRAPH),
        (
            Some(2),
            "pic-process: rule `rotate/400`: the angle is `400`, \
             allowed is a whole number from 0 to 360\n"
                .to_owned()
        )
    );
    assert_eq!(
        refused(&["rotate/90"], &PHOTOGRAPH[..20_000]),
        (Some(3), "pic-process: picture: it breaks off before its end\n".to_owned())
    );
    let (code, told) = refused(&["rotate/90", "--input", "/nowhere"], b"");
    assert_eq!(code, Some(1));
    assert!(told.starts_with("pic-process: cannot read /nowhere: "), "{told}");
    assert_eq!(refused(&[], b"").0, Some(2));
}

#[test]
fn help_prints_the_notation() {
    let help = run(&["--help"], b"").stdout;
    assert!(String::from_utf8(help).unwrap().contains("thumbnail/!WxHr"));
}
