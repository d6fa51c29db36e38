//! The HTTP gateway: what API Gateway and function URLs are elsewhere.

mod convert;
mod listen;
mod router;
mod signed;

pub use listen::{ListenError, serve_tcp, serve_unix};
pub use router::{agent_router, api_router, operator_router};
