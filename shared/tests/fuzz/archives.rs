//! Tars that the agent did not write: whatever shares its container could have.

use proptest::{collection::vec, prelude::*, sample::Index};
use shared::{
    archive::{Found, Manifest, Rewritten, Step, Walker, find_manifest},
    job::Layout,
};

/// Walks over all of it, seeing `window` bytes at a time; what was found, and
/// whether it came to an end. Never more steps than there are blocks.
fn walked(tar: &[u8], window: usize) -> (Vec<Found>, bool) {
    let (mut walker, mut found) = (Walker::new(), Vec::new());
    let (mut at, mut seen): (u64, &[u8]) = (0, &[]);
    let mut last = None;
    for _ in 0..4 * (tar.len() / 512 + 2) {
        match walker.step(at, seen) {
            Ok(Step::Member(member)) => found.push(member),
            Ok(Step::End) => return (found, true),
            Err(_) => return (found, false),
            Ok(Step::Need { offset, at_least }) => {
                assert!(last < Some((offset, at_least)), "it asks for the same again");
                last = Some((offset, at_least));
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(tar.len());
                let wanted = usize::try_from(at_least).unwrap_or(usize::MAX).max(window);
                let end = start.saturating_add(wanted).min(tar.len());
                (at, seen) = (offset, &tar[start..end]);
                if (seen.len() as u64) < at_least {
                    return (found, false);
                }
            }
        }
    }
    panic!("it does not come to an end");
}

/// Bytes of members, their names and what is in them.
fn members() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    let name = prop_oneof!["[a-zä/]{1,20}", "[a-z/]{90,300}"];
    let parts = |name: String| {
        let parts: Vec<&str> = name.split('/').filter(|part| !part.is_empty()).collect();
        format!("m{}", parts.join("/"))
    };
    let name = name.prop_map(parts);
    vec((name, vec(any::<u8>(), 0..1_500)), 0..5)
}

fn tar_of(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, &bytes[..]).unwrap();
    }
    tar.into_inner().unwrap()
}

/// A tar in which some bytes are others, and checksums right again, perhaps.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let edits = vec((any::<Index>(), any::<u8>()), 0..8);
    (members(), edits, any::<bool>(), any::<Index>()).prop_map(|(members, edits, mend, cut)| {
        let mut tar = tar_of(&members);
        for (place, byte) in edits {
            // Headers are where it matters.
            let blocks = tar.len() / 512;
            let place = place.index(blocks * 512);
            tar[place] = byte;
            let start = place / 512 * 512;
            if mend {
                mended(&mut tar[start..start + 512]);
            }
        }
        tar.truncate(tar.len() - cut.index(tar.len()) / 4);
        tar
    })
}

fn mended(block: &mut [u8]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

proptest! {
    #[test]
    fn any_bytes_as_an_archive(bytes in vec(any::<u8>(), 0..3_000), window in 1..2_000_usize) {
        walked(&bytes, window);
        find_manifest(&bytes, bytes.len() as u64);
        let _ = serde_json::from_slice::<Manifest>(&bytes);
    }

    #[test]
    fn what_is_nearly_an_archive(tar in damaged(), window in 1..5_000_usize) {
        let (found, ended) = walked(&tar, window);
        prop_assert_eq!(&walked(&tar, 512), &(found.clone(), ended), "by whichever windows");
        for member in found {
            prop_assert!(member.data.start <= member.data.end && member.header < member.data.start);
        }
        if let Some(manifest) = find_manifest(&tar, tar.len() as u64) {
            prop_assert!(manifest.end <= tar.len() as u64);
        }
    }

    #[test]
    fn members_are_found_as_they_were_put_in(members in members(), window in 1..5_000_usize) {
        let tar = tar_of(&members);
        let (found, ended) = walked(&tar, window);
        prop_assert!(ended);
        let read = |member: Found| {
            let bytes = usize::try_from(member.data.start).unwrap()..usize::try_from(member.data.end).unwrap();
            (String::from_utf8(member.name).unwrap(), tar[bytes].to_vec())
        };
        prop_assert_eq!(found.into_iter().map(read).collect::<Vec<_>>(), members);
    }

    #[test]
    fn an_archive_in_a_folder_is_the_same_in_whichever_pieces(
        tar in damaged(), pieces in vec(1..2_000_usize, 1..20),
    ) {
        let in_pieces = |pieces: &[usize]| {
            let (mut rewritten, mut out) = (Rewritten::new("f/0/", Layout::Native), Vec::new());
            let (mut rest, mut sizes) = (&tar[..], pieces.iter().cycle());
            while !rest.is_empty() && !rewritten.is_over() {
                let (piece, later) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
                out.extend(rewritten.push(piece).ok()?);
                rest = later;
            }
            Some(out)
        };
        let (whole, parts) = (in_pieces(&[tar.len().max(1)]), in_pieces(&pieces));
        prop_assert_eq!(whole, parts);
    }
}
