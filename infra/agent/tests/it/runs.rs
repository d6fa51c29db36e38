//! What a process is given, and what is told of it.

use std::fs;

use data_encoding::BASE64;
use shared::{
    agent::{PlanInput, PlanSource},
    job::{Cause, Exit},
};

use crate::{
    service::Mishap,
    world::{World, plain},
};

#[test]
fn a_process_reads_its_inputs_and_its_streams_come_home() {
    let world = World::new();
    let mut plan = world.script(
        "cat; cat in/a in/b; echo \"$GREETING\" >&2; echo out > result; stat -c %a in/b; exit 0",
    );
    plan.stdin = Some(PlanSource::Inline(BASE64.encode(b"from stdin\n")));
    let input = |name: &str, source, mode| PlanInput { path: world.text(name), source, mode };
    plan.inputs = vec![
        input("work/in/a", PlanSource::Inline(BASE64.encode(b"from a\n")), 0o644),
        input("work/in/b", PlanSource::Url("/objects/b?signature=x".to_owned()), 0o750),
    ];
    let object = ("/objects/b?signature=x".to_owned(), b"from b\n".to_vec());
    world.service.change(|state| state.objects = vec![object]);

    let report = world.run(plan);

    assert_eq!((report.exit, report.cause), (Some(Exit::Code(0)), None));
    assert_eq!(plain(&report.stdout_tail), "from stdin\nfrom a\nfrom b\n750\n");
    assert_eq!(plain(&report.stderr_tail), "hello\n");
    assert_eq!((report.stdout_bytes, report.stderr_bytes), (29, 6));
    assert_eq!(report.usage.input_bytes, 25);
    assert!(report.started_at.unwrap() <= report.ended_at.unwrap());

    let members = world.members();
    assert_eq!(members["Stdout"], b"from stdin\nfrom a\nfrom b\n750\n");
    assert_eq!(members["Stderr"], b"hello\n");
    assert_eq!(world.kept("result").unwrap(), "out\n");
    let archive = report.archive.unwrap();
    assert_eq!(archive.members as usize, members.len());
    assert_eq!(archive.bytes, fs::metadata(world.service.archive()).unwrap().len());
    assert_eq!(archive.etag, "\"tag\"");
    assert_eq!(report.usage.output_bytes, archive.bytes);
    let manifest = world.manifest();
    assert_eq!(manifest.facts.attempt, "att-1");
    assert_eq!(manifest.facts.exit, Some(Exit::Code(0)));
    assert!(manifest.notes.is_empty());
}

#[test]
fn a_process_has_the_plans_environment_and_no_other() {
    let world = World::new();
    let report = world.run(world.plan(&["env"]));
    assert_eq!(plain(&report.stdout_tail), "GREETING=hello\nPATH=/usr/bin:/bin\n");
    assert_eq!(world.service.state().token.as_deref(), Some("the-token"));
}

#[test]
fn an_exit_code_is_the_reports_and_not_the_agents() {
    let world = World::new();
    let report = world.run(world.script("exit 3"));
    assert_eq!((report.exit, report.cause), (Some(Exit::Code(3)), Some(Cause::Exited)));
    assert!(report.archive.is_some());
}

#[test]
fn a_crash_is_told_by_its_signal() {
    let world = World::new();
    let report = world.run(world.script("kill -SEGV $$"));
    assert_eq!((report.exit, report.cause), (Some(Exit::Signal(11)), Some(Cause::Signalled)));
}

#[test]
fn a_process_that_uses_the_processor_is_seen_to() {
    let world = World::new();
    let report = world.run(world.script("i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"));
    assert!(report.usage.cpu_ms > 0);
    assert!(report.usage.wall_ms >= report.usage.cpu_ms / 2);
    assert!(report.usage.peak_memory_bytes > 100_000);
}

#[test]
fn a_program_that_cannot_start_is_named_with_the_reason() {
    let told = |argv: &[&str]| {
        let world = World::new();
        let report = world.run(world.plan(argv));
        assert_eq!((report.exit, report.cause), (None, Some(Cause::StartFailed)));
        assert_eq!(report.archive, None);
        report.message.unwrap()
    };
    assert_eq!(
        told(&["no-such-program"]),
        "cannot start no-such-program: there is no such program in /usr/bin:/bin"
    );
    assert_eq!(told(&["/etc/passwd"]), "cannot start /etc/passwd: permission denied");
    let world = World::new();
    for (name, text, why) in [
        ("lost", "#!/no/such/interpreter\n", "the interpreter or loader that it names is missing"),
        (
            "odd",
            "\u{1}\u{2}",
            "it is no program for this machine, nor a script that names its interpreter",
        ),
    ] {
        let program = world.text(name);
        fs::write(&program, text).unwrap();
        std::process::Command::new("chmod").args(["+x", &program]).status().unwrap();
        assert_eq!(told(&[&program]), format!("cannot start {program}: {why}"));
    }
}

#[test]
fn inputs_are_folders_and_parts_and_come_in_pages() {
    let world = World::new();
    let mut plan = world.script("cat in/part; ls -R in/empty; cat in/more/a in/more/b in/twice");
    let input = |name: &str, source| PlanInput { path: world.text(name), source, mode: 0o644 };
    let inline = |text: &[u8]| PlanSource::Inline(BASE64.encode(text));
    plan.inputs = vec![
        input(
            "work/in/part",
            PlanSource::Part { url: "/objects/all".to_owned(), start: 3, end: 7 },
        ),
        input("work/in/empty", PlanSource::Folder),
        input("work/in/./twice", inline(b"first")),
        input("work/in/twice", inline(b"second\n")),
    ];
    plan.more = Some("1:a".to_owned());
    let mut second = world.script("");
    second.inputs = vec![input("work/in/more/a", inline(b"a\n"))];
    second.more = Some("1:b".to_owned());
    let mut third = world.script("");
    third.inputs = vec![input("work/in/more/b", inline(b"b\n"))];
    world.service.change(|state| {
        state.objects.push(("/objects/all".to_owned(), b"notthis!nor".to_vec()));
        state.more = vec![("1:a".to_owned(), second), ("1:b".to_owned(), third)];
    });
    let report = world.run(plan);
    assert_eq!((report.exit, report.cause), (Some(Exit::Code(0)), None));
    let said = plain(&report.stdout_tail);
    assert_eq!(said.replace(&world.text("work"), ""), "thisin/empty:\na\nb\nsecond\n");
    assert_eq!(report.usage.input_bytes, 4 + 7 + 2 + 2);
}

#[test]
fn an_input_that_is_not_to_be_had_is_told_in_the_services_words() {
    let world = World::new();
    let mut plan = world.script("echo ran > ran");
    let why = "task `a` has left no `x`";
    let source = PlanSource::Missing(why.to_owned());
    plan.inputs = vec![PlanInput { path: world.text("work"), source, mode: 0o644 }];
    let report = world.run(plan.clone());
    assert_eq!((report.exit, report.cause), (None, Some(Cause::InputFailed)));
    assert_eq!(report.message.unwrap(), format!("input {}: {why}", world.text("work")));

    let world = World::new();
    plan.inputs = Vec::new();
    plan.stdin = Some(PlanSource::Missing(why.to_owned()));
    let report = world.run(plan);
    assert_eq!((report.exit, report.cause), (None, Some(Cause::InputFailed)));
    assert_eq!(report.message.unwrap(), format!("stdin: {why}"));
}

#[test]
fn an_input_that_is_not_there_fails_the_attempt_before_its_start() {
    let world = World::new();
    let mut plan = world.script("echo ran > ran");
    let source = PlanSource::Url("/objects/none".to_owned());
    plan.inputs = vec![PlanInput { path: world.text("work/in"), source, mode: 0o644 }];
    world.service.change(|state| state.mishaps = [("get", Mishap::Status(404))].into());
    let report = world.run(plan);
    assert_eq!((report.exit, report.cause), (None, Some(Cause::InputFailed)));
    let message = format!("input {}: answered with status 404", world.text("work/in"));
    assert_eq!(report.message, Some(message));
    assert!(!world.path("work/ran").exists());
}

#[test]
fn a_scratch_folder_that_cannot_be_written_is_no_fault_of_the_users() {
    let world = World::new();
    fs::write(world.path("scratch"), "a file").unwrap();
    let report = world.run(world.script("exit 0"));
    assert_eq!((report.exit, report.cause), (None, Some(Cause::AgentLost)));
    assert!(report.message.unwrap().contains("scratch"));
}
