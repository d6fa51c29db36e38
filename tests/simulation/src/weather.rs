//! How often what goes wrong, while it does.

/// How often things go wrong, in times per thousand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weather {
    /// A port's call fails, half of the time after it has taken effect.
    pub failing: u32,
    /// Whoever makes a port's call dies over it, likewise.
    pub dying: u32,
    /// A port's call takes seconds or minutes.
    pub slow: u32,
    /// A message or one half of a call is lost.
    pub lost: u32,
    /// It comes twice.
    pub doubled: u32,
    /// A container is ended by its platform, in a minute of its life.
    pub ended: u32,
    /// A launch finds no room, is refused, or its container never comes up.
    pub unstarted: u32,
    /// A change is seen late by the indexes.
    pub lagging: u32,
}

impl Weather {
    /// Nothing goes wrong.
    pub fn calm() -> Self {
        Weather {
            failing: 0,
            dying: 0,
            slow: 0,
            lost: 0,
            doubled: 0,
            ended: 0,
            unstarted: 0,
            lagging: 0,
        }
    }

    /// Some seeds are calm, some see one kind of fault in plenty, most see a
    /// little of everything.
    pub fn drawn(dice: &mut fastrand::Rng) -> Self {
        if dice.u32(0..20) == 0 {
            return Weather::calm();
        }
        let mut rate = |most: u32| match dice.u32(0..6) {
            0 | 1 => 0,
            2 | 3 => dice.u32(1..=most / 8),
            4 => dice.u32(1..=most / 2),
            _ => dice.u32(most / 2..=most),
        };
        Weather {
            failing: rate(120),
            dying: rate(50),
            slow: rate(60),
            lost: rate(300),
            doubled: rate(300),
            ended: rate(300),
            unstarted: rate(300),
            lagging: rate(600),
        }
    }
}

/// What becomes of a call to a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is answered.
    Answered,
    /// It fails, and nothing has happened.
    FailsBefore,
    /// It fails, and yet has happened.
    FailsAfter,
    /// Who makes it dies before it happens.
    DiesBefore,
    /// Who makes it dies when it has happened.
    DiesAfter,
}

impl Weather {
    /// What becomes of the next call.
    pub fn fate(&self, dice: &mut fastrand::Rng) -> Fate {
        let Weather { failing, dying, .. } = *self;
        match dice.u32(0..2_000) {
            n if n < failing => Fate::FailsBefore,
            n if n < 2 * failing => Fate::FailsAfter,
            n if n < 2 * failing + dying => Fate::DiesBefore,
            n if n < 2 * (failing + dying) => Fate::DiesAfter,
            _ => Fate::Answered,
        }
    }
}
