//! What Fargate sells, and for how much: known without asking AWS, so that a
//! job tells on every platform what it would cost there.

mod price;
mod size;

pub use price::{BadPrices, Prices, dollars};
pub use size::Size;
