//! What calls of AWS's APIs cost: a list of them, each with what it read and
//! wrote. For tests and for looking into a bill; nothing is noted unless a
//! client was made with a meter.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::{
    operation::{
        batch_get_item::{BatchGetItemInput, BatchGetItemOutput},
        delete_item::{DeleteItemInput, DeleteItemOutput},
        get_item::{GetItemInput, GetItemOutput},
        query::{QueryInput, QueryOutput},
        transact_write_items::{TransactWriteItemsInput, TransactWriteItemsOutput},
        update_item::{UpdateItemInput, UpdateItemOutput},
    },
    types::{ConsumedCapacity, ReturnConsumedCapacity::Indexes},
};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{
            Intercept,
            context::{
                BeforeSerializationInterceptorContextMut, BeforeTransmitInterceptorContextRef,
                FinalizerInterceptorContextRef, Input, Output,
            },
        },
        orchestrator::Metadata,
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};

/// One call, as it is charged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// `DynamoDB`, `S3`, …
    pub service: String,
    /// `TransactWriteItems`, `PutObject`, …
    pub operation: String,
    /// Requests that were sent for it.
    pub requests: u32,
    /// Whether it did what was asked. What a call that was refused cost is not told.
    pub done: bool,
    /// Read or write units of the table.
    pub table_units: f64,
    /// Read or write units of its indexes.
    pub index_units: f64,
}

impl Storable for Reading {
    type Storer = StoreReplace<Self>;
}

/// Where the calls of the clients that share it are noted.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<Mutex<Vec<Reading>>>);

impl Meter {
    /// The calls since it was last asked, in the order in which they ended.
    pub fn take(&self) -> Vec<Reading> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Intercept for Meter {
    fn name(&self) -> &'static str {
        "Meter"
    }

    fn modify_before_serialization(
        &self,
        context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        ask_for_capacity(context.input_mut());
        let mut reading = Reading::default();
        if let Some(call) = config.load::<Metadata>() {
            call.service().clone_into(&mut reading.service);
            call.name().clone_into(&mut reading.operation);
        }
        config.interceptor_state().store_put(reading);
        Ok(())
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(reading) = config.get_mut_from_interceptor_state::<Reading>() {
            reading.requests += 1;
        }
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(mut reading) = config.load::<Reading>().cloned() else { return Ok(()) };
        if let Some(Ok(output)) = context.output_or_error() {
            reading.done = true;
            for capacity in capacities(output) {
                let indexes = capacity.global_secondary_indexes().into_iter().flatten();
                let of_indexes: f64 = indexes.filter_map(|(_, units)| units.capacity_units()).sum();
                reading.index_units += of_indexes;
                reading.table_units += capacity.capacity_units().unwrap_or(0.0) - of_indexes;
            }
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(reading);
        Ok(())
    }
}

fn ask_for_capacity(input: &mut Input) {
    macro_rules! ask {
        ($($input:ty),*) => {
            $(if let Some(input) = input.downcast_mut::<$input>() {
                input.return_consumed_capacity = Some(Indexes);
            })*
        };
    }
    ask!(GetItemInput, BatchGetItemInput, QueryInput);
    ask!(UpdateItemInput, DeleteItemInput, TransactWriteItemsInput);
}

fn capacities(output: &Output) -> Vec<&ConsumedCapacity> {
    let mut found = Vec::new();
    macro_rules! find {
        ($($output:ty),*) => {
            $(if let Some(output) = output.downcast_ref::<$output>() {
                found.extend(output.consumed_capacity());
            })*
        };
    }
    find!(GetItemOutput, BatchGetItemOutput, QueryOutput);
    find!(UpdateItemOutput, DeleteItemOutput, TransactWriteItemsOutput);
    found
}
