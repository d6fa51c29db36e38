//! Whether an earlier try of a call may have done its work though its answer
//! was lost: then a condition that fails at a later one may have failed
//! because of it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{
            Intercept,
            context::{BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef},
        },
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::config_bag::ConfigBag;

/// Watches the tries of one call.
#[derive(Clone, Debug, Default)]
pub(super) struct Doubt {
    /// A request went out, and what became of it is not known yet.
    out: Arc<AtomicBool>,
    /// One was not refused, whatever else became of it.
    lost: Arc<AtomicBool>,
}

impl Doubt {
    /// Whether a try before the last may have been carried out.
    pub(super) fn is_justified(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Intercept for Doubt {
    fn name(&self) -> &'static str {
        "Doubt"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.out.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // Only who says that the request was wrong surely did nothing.
        let refused = |status: u16| (400..500).contains(&status);
        let refused = context.response().is_some_and(|answer| refused(answer.status().as_u16()));
        if self.out.swap(false, Ordering::Relaxed) && !refused {
            self.lost.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}
