//! What a set holds, and how much of it.
//!
//! Members are counted, and weighed in two measures. What a member weighs is
//! written in the member itself, `name*12*7`: so whoever takes it out takes
//! out what it came in with, also after a crash and in every order of joins
//! and leaves. Were the weight told beside the member, a leave that tells
//! another than the join had would leave a remainder in the sums for good.

/// How many measures members are weighed in.
pub const MEASURES: usize = 2;

/// What a set may hold. A member that is in counts, whatever the limit was
/// when it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetLimit {
    /// So many members.
    pub members: u32,
    /// So much of each measure, all members together; without one, any.
    pub weights: [Option<u64>; MEASURES],
}

impl From<u32> for SetLimit {
    /// So many members, whatever they weigh.
    fn from(members: u32) -> Self {
        SetLimit { members, weights: [None; MEASURES] }
    }
}

/// What a set holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetSize {
    /// How many members.
    pub members: u64,
    /// What they weigh together.
    pub weights: [u64; MEASURES],
}

impl SetSize {
    /// That of these members.
    pub fn of<M: AsRef<str>>(members: impl IntoIterator<Item = M>) -> Self {
        members.into_iter().fold(SetSize::default(), |size, member| size.with(member.as_ref()))
    }

    /// With one member more.
    #[must_use]
    pub fn with(self, member: &str) -> Self {
        let ([a, b], [more_a, more_b]) = (self.weights, weights(member));
        SetSize {
            members: self.members.saturating_add(1),
            weights: [a.saturating_add(more_a), b.saturating_add(more_b)],
        }
    }

    /// With one member less.
    #[must_use]
    pub fn without(self, member: &str) -> Self {
        let ([a, b], [less_a, less_b]) = (self.weights, weights(member));
        SetSize {
            members: self.members.saturating_sub(1),
            weights: [a.saturating_sub(less_a), b.saturating_sub(less_b)],
        }
    }

    /// Whether it is within the limit.
    pub fn is_within(self, limit: SetLimit) -> bool {
        let light = |(weight, most): (u64, Option<u64>)| most.is_none_or(|most| weight <= most);
        self.members <= u64::from(limit.members)
            && self.weights.into_iter().zip(limit.weights).all(light)
    }
}

/// A member of this name that weighs so much. The name has no `*`.
pub fn weighed(name: &str, [a, b]: [u32; MEASURES]) -> String {
    format!("{name}*{a}*{b}")
}

/// The member's name, without what it weighs.
pub fn name(member: &str) -> &str {
    member.split_once('*').map_or(member, |(name, _)| name)
}

/// What the member weighs: nothing, unless it says so.
pub fn weights(member: &str) -> [u64; MEASURES] {
    let read = || {
        let (_, said) = member.split_once('*')?;
        let (a, b) = said.split_once('*')?;
        Some([a.parse::<u32>().ok()?.into(), b.parse::<u32>().ok()?.into()])
    };
    read().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_weighs_what_it_says() {
        let member = weighed("att-1", [250, u32::MAX]);
        assert_eq!((name(&member), weights(&member)), ("att-1", [250, u32::MAX.into()]));
        for light in ["", "m", "m*", "m*1", "m*1*", "m*1*2*3", "m*-1*2", "m*4294967296*1"] {
            assert_eq!(weights(light), [0, 0], "{light}");
        }
    }

    #[test]
    fn a_set_is_within_its_limit_in_every_measure() {
        let size = SetSize::of(["a*1*10", "b*2*20", "c"]);
        assert_eq!(size, SetSize { members: 3, weights: [3, 30] });
        assert_eq!(size.without("b*2*20"), SetSize::of(["a*1*10", "c"]));
        let limit = |members, a, b| SetLimit { members, weights: [a, b] };
        assert!(size.is_within(limit(3, Some(3), Some(30))));
        assert!(size.is_within(3.into()));
        for tight in [limit(2, None, None), limit(9, Some(2), None), limit(9, None, Some(29))] {
            assert!(!size.is_within(tight), "{tight:?}");
        }
    }
}
