//! What can be broken on purpose, to see that it is found.
//!
//! The product has no part in it: each is a wrapper of a port, or a player, that
//! does what the product relies on nobody doing.

/// One thing that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// Slots are given back before the job has changed.
    SlotsFirst,
    /// A set takes more members than its limit.
    NoLimit,
    /// A write does not look at the version that it expects.
    LostUpdates,
    /// What is staged first is left out.
    NothingBefore,
    /// Rows are written without their marks.
    NoMarks,
    /// A client token is not written down.
    NoTokens,
    /// A store of objects keeps what it got of a body that broke off.
    TornObjects,
    /// An agent that is refused its plan runs the last one of another.
    NoFence,
    /// The runtime says that it ended a container, and does not.
    UndeadContainers,
    /// A listing gets another project's rows.
    MixedProjects,
    /// Leases are not written.
    NoLeases,
    /// The minute's sweep never comes.
    NoSweeps,
    /// The outbox says that it has delivered, and has not.
    NobodyTold,
    /// Who leads those that run the same is not written down.
    NoLeaders,
    /// A set does not weigh its members.
    NoWeights,
    /// Who waits in a queue is read from its end.
    NoOrder,
    /// What became of tries to tell somebody is not written down.
    NoReceipts,
    /// An object that was written is told of once, whatever comes of it.
    ToldOnce,
}

impl Sabotage {
    /// Every one.
    pub const ALL: [Sabotage; 18] = [
        Sabotage::SlotsFirst,
        Sabotage::NoLimit,
        Sabotage::LostUpdates,
        Sabotage::NothingBefore,
        Sabotage::NoMarks,
        Sabotage::NoTokens,
        Sabotage::TornObjects,
        Sabotage::NoFence,
        Sabotage::UndeadContainers,
        Sabotage::MixedProjects,
        Sabotage::NoLeases,
        Sabotage::NoSweeps,
        Sabotage::NobodyTold,
        Sabotage::NoLeaders,
        Sabotage::NoWeights,
        Sabotage::NoOrder,
        Sabotage::NoReceipts,
        Sabotage::ToldOnce,
    ];
}
