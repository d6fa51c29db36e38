//! The signature: SHA-1 over all parameters by name, names and values without
//! anything between them, and the private key at the end.

use shared::auth::signing::{same, sha1_hex};

use crate::asked::Parameters;

/// The parameter that the signature is in, and is not over.
pub const SIGNATURE: &str = "Signature";

/// What one client adds to a request that is signed already.
const ADDED_LATER: &str = "Date";

/// Whether the request is signed with this private key.
pub fn is_signed(parameters: &Parameters, private_key: &str) -> bool {
    let signature = parameters.text(SIGNATURE).unwrap_or_default();
    let fits = |expected: String| same(&expected, signature);
    fits(signed(parameters.pairs(), private_key))
        || parameters.text("Action") == Some("GetTaskList")
            && fits(signed(
                parameters.pairs().filter(|(name, _)| *name != ADDED_LATER),
                private_key,
            ))
}

/// The signature over these parameters.
pub fn signed<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>, private_key: &str) -> String {
    let mut pairs: Vec<_> = pairs.filter(|(name, _)| *name != SIGNATURE).collect();
    pairs.sort_unstable();
    let text: String =
        pairs.iter().flat_map(|(name, value)| [*name, *value]).chain([private_key]).collect();
    sha1_hex(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pair of keys that the API's documentation signs with.
    const PUBLIC: &str = "ucloudsomeone@example.com1296235120854146120";
    const PRIVATE: &str = "46f09bb9fab4f12dfc160dae12273d5332b5debe";

    const TOKEN: &str = "H2JKDKOW3HN24CGG1PV3DV779932C";

    /// What was signed by the vendor's own library, but for the public key.
    fn vectors() -> [(Vec<(&'static str, &'static str)>, &'static str); 6] {
        let image = "registry.example/library/helloworld:first";
        [
            (
                vec![("Action", "DescribeUHostInstance"), ("Region", "cn-bj2"), ("Limit", "10")],
                "cba5cf5ec4d4233d206b1b54951e3787350a642f",
            ),
            (
                vec![("Action", "GetAccessToken"), ("Region", "cn-bj2")],
                "6e168f6ab15993dca04884e471c1f3122f05f6e3",
            ),
            (
                vec![("Action", "GetAccessToken"), ("Region", "cn-bj2"), ("ExpireIn", "7200")],
                "c0c1d47cef69486db26bab7d59022d88ed7885fe",
            ),
            (
                vec![
                    ("Action", "GetTaskResult"),
                    ("Region", "cn-bj2"),
                    ("TaskId", "0b560b1d-f3b1-43de-a492-08875d79211b"),
                    ("AccessToken", TOKEN),
                ],
                "37b18efec77f365d9a3bd904919288fcac03de7e",
            ),
            (
                vec![
                    ("Action", "SubmitTask"),
                    ("Region", "cn-bj2"),
                    ("ImageName", image),
                    ("AccessToken", TOKEN),
                    ("OutputDir", "/tmp"),
                    ("OutputFileName", "result"),
                    ("Cmd", "thisiscmd"),
                    ("TaskType", "Sync"),
                    ("TaskName", "testsync"),
                ],
                "8f39c3bf6c64621d61ad7cbbfc3277778f01b6e3",
            ),
            (
                vec![
                    ("Action", "Enc"),
                    ("A", "true"),
                    ("B", "42"),
                    ("C.0", "1"),
                    ("C.1.k", "v"),
                    ("D", "é &+"),
                ],
                "b2311c8636efbe5880082b3d9bf15698c7e8d8c0",
            ),
        ]
    }

    fn with_key<'a>(pairs: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        pairs.iter().copied().chain([("PublicKey", PUBLIC)]).collect()
    }

    #[test]
    fn what_the_vendors_library_signs_comes_out() {
        for (pairs, expected) in vectors() {
            assert_eq!(signed(with_key(&pairs).into_iter(), PRIVATE), expected, "{pairs:?}");
        }
    }

    #[test]
    fn any_change_makes_it_another() {
        for (pairs, signature) in vectors() {
            let pairs = with_key(&pairs);
            for place in 0..pairs.len() {
                let (name, value) = pairs[place];
                for (name, value) in [
                    (name, format!("{value}x")),
                    (name, value.chars().skip(1).collect()),
                    ("X", value.into()),
                ] {
                    let mut changed = pairs.clone();
                    changed[place] = (name, &value);
                    assert_ne!(signed(changed.into_iter(), PRIVATE), signature, "{name}={value}");
                }
            }
            let fewer = pairs[1..].iter().copied();
            assert_ne!(signed(fewer, PRIVATE), signature);
            assert_ne!(signed(pairs.into_iter(), &PRIVATE[1..]), signature);
        }
    }

    #[test]
    fn a_date_may_be_added_to_a_list_after_it_was_signed() {
        let is_good = |action: &str, extra: &str| {
            let asked = [("Action", action), ("PublicKey", PUBLIC)];
            let signature = signed(asked.into_iter(), PRIVATE);
            let all = asked.into_iter().chain([(extra, "2026-03-01"), (SIGNATURE, &signature)]);
            let parameters = all.map(|(name, value)| (name.to_owned(), value.to_owned()));
            is_signed(&parameters.collect(), PRIVATE)
        };
        assert!(is_good("GetTaskList", "Date"));
        assert!(!is_good("GetTaskList", "StartTime"));
        assert!(!is_good("GetTaskDetail", "Date"));
    }
}
