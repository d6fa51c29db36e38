//! What the template says of the stores, the schedules and the roles, held
//! against what the programs go by: no stand-in shows most of it.

use shared::ops::sweep::Wake;

use super::{TEMPLATE, between, block, functions};

/// The lines below the first one that says no more than `name:`, as far as they
/// belong to it, without remarks.
fn below(text: &str, name: &str) -> String {
    let depth = |line: &str| line.len() - line.trim_start().len();
    let mut lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let is_named = |line: &&str| line.trim().strip_suffix(':') == Some(name);
    let head = lines.find(is_named).unwrap_or_else(|| panic!("{name} is there"));
    let own = lines.take_while(|line| line.is_empty() || depth(line) > depth(head));
    own.fold(String::new(), |text, line| text + line + "\n")
}

/// What is said of a resource.
fn resource(id: &str) -> String {
    below(TEMPLATE.split_once("\nResources:\n").expect("there are resources").1, id)
}

/// Every resource of a type, by its id.
fn resources(of: &str) -> Vec<(&'static str, String)> {
    let (_, rest) = TEMPLATE.split_once("\nResources:\n").expect("there are resources");
    let (rest, _) = rest.split_once("\nOutputs:\n").expect("there are outputs");
    let every = rest.lines().filter_map(block).map(|id| (id, resource(id)));
    let found: Vec<_> = every.filter(|(_, said)| has(said, &format!("Type: {of}"))).collect();
    assert!(!found.is_empty(), "there is a {of}");
    found
}

fn plain(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
}

fn has(text: &str, line: &str) -> bool {
    plain(text).contains(&line)
}

#[test]
fn what_is_kept_stays_when_the_stack_goes_and_can_be_found() {
    for id in ["Table", "Bucket", "MasterKey"] {
        for line in [
            "DeletionPolicy: Retain",
            "UpdateReplacePolicy: Retain",
            "Tags: [{ Key: tarpon:stack, Value: !Ref AWS::StackName }]",
        ] {
            assert!(has(&resource(id), line), "{id}: {line}");
        }
    }
    let table = resource("Table");
    let recovery = "PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true }";
    assert!(has(&table, recovery));
}

#[test]
fn the_bucket_is_closed_sealed_and_swept() {
    let bucket = resource("Bucket");
    let closed = below(&bucket, "PublicAccessBlockConfiguration");
    let all = ["BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"];
    assert_eq!(plain(&closed), all.map(|what| format!("{what}: true")));
    let owner = below(&bucket, "OwnershipControls");
    assert_eq!(plain(&owner), ["Rules: [{ ObjectOwnership: BucketOwnerEnforced }]"]);
    let sealed = "- ServerSideEncryptionByDefault: { SSEAlgorithm: AES256 }";
    assert!(has(&below(&bucket, "BucketEncryption"), sealed));
    let swept = [
        "Rules:",
        "- Id: unfinished-uploads",
        "Status: Enabled",
        "AbortIncompleteMultipartUpload: { DaysAfterInitiation: 2 }",
        "- Id: passing",
        "Status: Enabled",
        "Prefix: passing/",
        "ExpirationInDays: 1",
    ];
    assert_eq!(plain(&below(&bucket, "LifecycleConfiguration")), swept);
    let policy = resource("BucketPolicy");
    for line in ["Effect: Deny", "Condition: { Bool: { aws:SecureTransport: \"false\" } }"] {
        assert!(has(&policy, line), "{line}");
    }
}

#[test]
fn no_role_may_do_all_there_is() {
    for other in ["NotAction", "ManagedPolicyArns"] {
        assert!(!TEMPLATE.contains(other), "{other}");
    }
    let (mut effect, mut seen) = ("", 0);
    for line in TEMPLATE.lines() {
        if let Some((_, rest)) = line.split_once("Effect: ") {
            effect = rest.split([',', ' ']).next().unwrap_or_default();
        }
        let text = line.trim_start();
        let said = text.strip_prefix("Action:").or_else(|| Some(line.split_once(" Action:")?.1));
        let Some(said) = said.map(str::trim) else { continue };
        let list = between(said, "[", "]").filter(|_| said.starts_with('['));
        let actions = list.unwrap_or_else(|| said.split([',', ' ']).next().unwrap_or_default());
        for action in actions.split(',').map(|action| action.trim().trim_matches('"')) {
            assert!(action.contains(':'), "what may be done is said on one line: {line}");
            assert!(effect == "Deny" || !action.contains('*'), "{line}");
            seen += 1;
        }
    }
    assert!(seen > 5 * functions().len(), "{seen}");
}

#[test]
fn every_minute_the_sweep_and_the_callbacks_are_called() {
    let rule = resource("EveryMinute");
    assert!(has(&rule, "ScheduleExpression: rate(1 minute)"));
    let due = serde_json::to_string(&Wake::Due).unwrap();
    let retry = "RetryPolicy: { MaximumRetryAttempts: 0, MaximumEventAgeInSeconds: 60 }";
    let targets = [
        "- Id: sweep-jobs",
        "Arn: !GetAtt SweepJobs.Arn",
        retry,
        "- Id: deliver-callback",
        "Arn: !GetAtt DeliverCallback.Arn",
        &format!("Input: '{due}'"),
        retry,
    ];
    assert_eq!(plain(&below(&rule, "Targets")), targets);
    for disabled in ["State: DISABLED", "Condition:"] {
        assert!(!rule.contains(disabled), "{rule}");
    }
}

#[test]
fn every_rule_may_call_the_functions_that_it_calls() {
    let functions = functions();
    let permissions = resources("AWS::Lambda::Permission");
    let mut calls = 0;
    for (rule, said) in resources("AWS::Events::Rule") {
        for line in plain(&below(&said, "Targets")) {
            let Some(id) = between(line, "Arn: !GetAtt ", ".Arn") else { continue };
            if !line.starts_with("Arn:") || functions.iter().all(|(known, _)| *known != id) {
                continue;
            }
            let lines = [
                format!("FunctionName: !Ref {id}"),
                "Action: lambda:InvokeFunction".to_owned(),
                "Principal: events.amazonaws.com".to_owned(),
                format!("SourceArn: !GetAtt {rule}.Arn"),
            ];
            let allows = |said: &str| lines.iter().all(|line| has(said, line));
            assert!(permissions.iter().any(|(_, said)| allows(said)), "{rule} calls {id}");
            calls += 1;
        }
    }
    assert_eq!(calls, 3);
}

/// Against the adapter of the table.
#[cfg(feature = "aws")]
mod adapter {
    use serde_json::{Value, json};
    use shared::{
        aws::table::{CALLS, INDEXES, IndexLayout, KEY, Place, REFUSED, TTL},
        job::ProjectId,
        ops::rows::{self, QueueKey},
        platform::Index,
    };

    use super::{below, between, has, plain, resource};

    fn schema([partition, sort]: [&str; 2]) -> [String; 2] {
        let part = |name: &str, kind| format!("- {{ AttributeName: {name}, KeyType: {kind} }}");
        [part(partition, "HASH"), part(sort, "RANGE")]
    }

    #[test]
    fn the_table_is_made_as_it_is_used() {
        let table = resource("Table");
        let keys = [KEY].into_iter().chain(INDEXES.map(|index| index.key)).flatten();
        let defined: Vec<_> =
            keys.map(|name| format!("- {{ AttributeName: {name}, AttributeType: S }}")).collect();
        assert_eq!(plain(&below(&table, "AttributeDefinitions")), defined);
        assert_eq!(plain(&below(&table, "KeySchema")), schema(KEY));
        let index = |IndexLayout { name, key, .. }: IndexLayout| {
            let [partition, sort] = schema(key);
            let projection = "Projection: { ProjectionType: KEYS_ONLY }".to_owned();
            [format!("- IndexName: {name}"), "KeySchema:".into(), partition, sort, projection]
        };
        let indexes: Vec<_> = INDEXES.into_iter().flat_map(index).collect();
        assert_eq!(plain(&below(&table, "GlobalSecondaryIndexes")), indexes);
        let expiry = format!("TimeToLiveSpecification: {{ AttributeName: {TTL}, Enabled: true }}");
        assert!(has(&table, &expiry), "{expiry}");
        // What was there before tells who has left a set.
        let stream = "StreamSpecification: { StreamViewType: NEW_AND_OLD_IMAGES }";
        assert!(has(&table, stream), "{stream}");
    }

    /// What a mapping of the table's stream lets through, and whom it tells.
    fn filters(mapping: &str, function: &str) -> Vec<Value> {
        let said = resource(mapping);
        assert!(has(&said, "EventSourceArn: !GetAtt Table.StreamArn"), "{mapping}");
        assert!(has(&said, &format!("FunctionName: !Ref {function}")), "{mapping}");
        let said = below(&said, "Filters");
        let pattern = |line| between(line, "- Pattern: '", "'").expect("a pattern");
        let json = |text| serde_json::from_str(text).expect("JSON");
        plain(&said).into_iter().map(pattern).map(json).collect()
    }

    /// What all of these begin with, to the first `#`, and none of those.
    fn kind<'a>(all: &'a [String], none: &[String]) -> &'a str {
        let kind = &all[0][..=all[0].find('#').expect("a kind ends so")];
        assert!(all.iter().all(|it| it.starts_with(kind)), "{all:?}");
        assert!(!none.iter().any(|it| it.starts_with(kind)), "{none:?}");
        kind
    }

    #[test]
    fn of_each_change_those_are_told_for_whom_it_calls() {
        let image =
            |name: &str, condition: Value| json!({"dynamodb": {"NewImage": {name: condition}}});
        let is_there = json!([{"exists": true}]);
        let begins = |with: &str| json!({"S": [{"prefix": with}]});

        let key = QueueKey { project: ProjectId::new([7; 16]), name: "slow".parse().unwrap() };
        let slots = rows::slots(&key);
        let stored = format!("{}\0{}\0", slots.partition, slots.sort);
        assert_eq!(Place::of(&stored, "h"), Place::Set(slots));
        let [partition, sort] = KEY;
        let left = json!({"dynamodb": {
            "Keys": {partition: begins(kind(&[stored], &[]))},
            "OldImage": {REFUSED: {"N": is_there}},
        }});
        let queue = rows::queue(&key).sort;
        let settings =
            json!({"dynamodb": {"Keys": {sort: begins(kind(std::slice::from_ref(&queue), &[]))}}});
        let [waits, _] = IndexLayout::of(Index::Queue).key;
        let waits = image(waits, json!({"S": is_there}));
        let calls = image(CALLS, json!({"N": is_there}));
        assert_eq!(filters("Changes", "DispatchJobs"), [calls.clone(), waits, left, settings]);

        let tell: Vec<_> = rows::tell_partitions().collect();
        let due: Vec<_> = rows::due_partitions().filter(|it| !tell.contains(it)).collect();
        let [marked, _] = IndexLayout::of(Index::Due).key;
        let mut told = calls;
        told["dynamodb"]["NewImage"][marked] = begins(kind(&tell, &due));
        assert_eq!(filters("CallbackChanges", "DeliverCallback"), [told]);
    }
}
