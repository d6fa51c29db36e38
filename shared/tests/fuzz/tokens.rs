//! What we hand out and are shown again: tokens, cursors.

use jiff::Timestamp;
use proptest::{prelude::*, sample::Index};
use shared::{
    auth::{AccessToken, Keyring, authenticate},
    conformance::memory::Memory,
    job::{AccessKeyId, AttemptId, AttemptKey, JobId, ProjectId},
    wire::{Cursor, Problem},
};

use crate::{
    any::text,
    requests::{request, waited_for},
};

fn keyring() -> Keyring {
    Keyring::new(&[7; 32])
}

fn project(n: u8) -> ProjectId {
    ProjectId::new([n; 16])
}

/// The text with one of its characters another.
fn altered(text: &str, place: Index, by: char) -> Option<String> {
    let mut letters: Vec<char> = text.chars().collect();
    let place = place.index(letters.len());
    let differs = letters[place] != by;
    letters[place] = by;
    differs.then(|| letters.into_iter().collect())
}

proptest! {
    #[test]
    fn no_text_is_a_token_but_ours(text in text()) {
        let attempt = AttemptId {
            job: JobId::new(Timestamp::UNIX_EPOCH, [1; 10]), run: 1, task: 0, instance: 0, number: 1,
        };
        let attempt = AttemptKey { project: project(1), attempt };
        prop_assert!(AccessToken::open(&text, &keyring()).is_none());
        prop_assert!(!keyring().is_attempt_token(attempt, &text));
        prop_assert!(Cursor::open(&text, &keyring(), project(1), "jobs").is_err());
    }

    #[test]
    fn a_token_is_read_as_it_was_made_and_not_once_it_was_touched(
        serial in any::<[u8; 8]>(),
        seconds in 0..4_000_000_000_i64,
        more in "([a-z0-9]+( [a-z0-9]+)*)?",
        place in any::<Index>(),
        by in "[A-Za-z0-9_-]",
    ) {
        let key = AccessKeyId::new(project(1), serial);
        let token = AccessToken { key, expires_at: Timestamp::from_second(seconds).unwrap() };
        let sealed = token.seal_with(&keyring(), &more);
        prop_assert_eq!(AccessToken::open(&sealed, &keyring()), Some(token));
        prop_assert_eq!(AccessToken::open_with(&sealed, &keyring()), Some((token, more)));
        prop_assert_eq!(AccessToken::open(&sealed, &Keyring::new(&[8; 32])), None);
        if let Some(touched) = altered(&sealed, place, by.chars().next().unwrap()) {
            prop_assert_eq!(AccessToken::open(&touched, &keyring()), None);
        }
    }

    #[test]
    fn a_cursor_is_good_for_its_listing_alone(
        at in text(), listing in "[a-z]{1,8}", place in any::<Index>(), by in "[A-Za-z0-9_-]",
    ) {
        let cursor = Cursor(at);
        let sealed = cursor.seal(&keyring(), project(1), &listing);
        let open = |text: &str, of, listing: &str| Cursor::open(text, &keyring(), of, listing).ok();
        prop_assert_eq!(open(&sealed, project(1), &listing), Some(cursor));
        prop_assert_eq!(open(&sealed, project(2), &listing), None);
        prop_assert_eq!(open(&sealed, project(1), "of others"), None);
        if let Some(touched) = altered(&sealed, place, by.chars().next().unwrap()) {
            prop_assert_eq!(open(&touched, project(1), &listing), None);
        }
    }

    #[test]
    fn no_header_lets_anybody_in(scheme in "(?i)basic|bearer|[a-z]{0,6}", credential in text()) {
        let service = Memory::new(1).service();
        let asked = request([("authorization", format!("{scheme} {credential}"))]);
        let who = waited_for(authenticate(&service, &asked));
        prop_assert!(matches!(who, Err(Problem::Unauthenticated(_))), "{:?}", who);
    }
}
