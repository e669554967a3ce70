//! The document: dumps and streams. Only what is public can be named here.

use coppice_actors::{Kind, Problem};
use futures_util::FutureExt;
use patchdb::{Position, PublicPointer};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Call, Failure};
use crate::{
    continuations::{Continuation, PATIENCE},
    gateway::streams,
};

#[derive(Deserialize)]
struct At {
    #[serde(default)]
    pointer: Option<String>,
    #[serde(default)]
    from: Option<Position>,
}

fn place(pointer: Option<String>) -> Result<PublicPointer, Problem> {
    match pointer {
        None => Ok(PublicPointer::root()),
        Some(text) => {
            PublicPointer::parse(&text).map_err(|error| Problem::of(Kind::InvalidRequest, &error))
        }
    }
}

pub(super) async fn dump(call: Call) -> Result<Value, Failure> {
    let at = place(call.params::<At>()?.pointer)?;
    let store = call.coppice().host().document.store().public_store();
    Ok(json!(store.dump(&at)))
}

pub(super) async fn subscribe(call: Call) -> Result<Value, Failure> {
    let At { pointer, from } = call.params()?;
    let store = call.coppice().host().document.store().public_store();
    let mut subscription = store.subscribe(&place(pointer)?, from);
    let start = subscription.take_start();
    let stream = Continuation::Socket(Box::new(move |socket| {
        streams::document(socket, subscription).boxed()
    }));
    let guid = call
        .context
        .gate
        .tickets
        .give(&call.context.caller, stream, PATIENCE)?;
    let mut answer = json!(start);
    if let Some(answer) = answer.as_object_mut() {
        answer.insert("guid".to_owned(), Value::String(guid));
    }
    Ok(answer)
}
