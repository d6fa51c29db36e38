//! The API's description (OpenAPI 3.1), gathered from the functions themselves.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, schema::Schema},
};

use crate::function::{DynAction, Route};

/// What a function says of itself.
#[derive(Default)]
pub struct Describe {
    summary: &'static str,
    text: &'static str,
    query: Vec<(&'static str, &'static str)>,
    request: Option<Value>,
    replies: BTreeMap<u16, Value>,
    schemas: Vec<(String, RefOr<Schema>)>,
    open: bool,
}

impl Describe {
    /// One line on what it does.
    pub fn summary(&mut self, summary: &'static str) -> &mut Self {
        self.summary = summary;
        self
    }

    /// What else a caller should know.
    pub fn text(&mut self, text: &'static str) -> &mut Self {
        self.text = text;
        self
    }

    /// It takes no credential.
    pub fn open(&mut self) -> &mut Self {
        self.open = true;
        self
    }

    /// A query parameter it takes.
    pub fn query(&mut self, name: &'static str, text: &'static str) -> &mut Self {
        self.query.push((name, text));
        self
    }

    /// The JSON body it takes.
    pub fn request<T: ToSchema>(&mut self) -> &mut Self {
        let schema = self.refer::<T>();
        self.request = Some(content("application/json", &schema));
        self
    }

    /// Something other than JSON that it takes as well, or instead.
    pub fn request_bytes(&mut self, media_type: &str) -> &mut Self {
        let request = self.request.get_or_insert_with(|| json!({ "content": {} }));
        request["content"][media_type] = json!({ "schema": {} });
        self
    }

    /// The JSON it answers with.
    pub fn reply<T: ToSchema>(&mut self, status: u16, text: &'static str) -> &mut Self {
        let schema = self.refer::<T>();
        self.answer(status, "application/json", &schema, text)
    }

    /// Something other than JSON that it answers with; `media_type` is empty
    /// for no body. A status may have several answers.
    pub fn bytes(&mut self, status: u16, media_type: &str, text: &'static str) -> &mut Self {
        self.answer(status, media_type, &json!({}), text)
    }

    fn answer(&mut self, status: u16, media_type: &str, schema: &Value, text: &str) -> &mut Self {
        let reply = self.replies.entry(status).or_insert_with(|| json!({ "description": text }));
        if !media_type.is_empty() {
            reply["content"][media_type] = json!({ "schema": schema });
        }
        self
    }

    fn refer<T: ToSchema>(&mut self) -> Value {
        let name = T::name().into_owned();
        self.schemas.push((name.clone(), <T as PartialSchema>::schema()));
        T::schemas(&mut self.schemas);
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }

    fn operation(&self, name: &str, route: &Route) -> Value {
        let path = route.parameters().map(|name| {
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
        });
        let query = self.query.iter().map(|(name, text)| {
            json!({
                "name": name, "in": "query", "description": text, "schema": { "type": "string" },
            })
        });
        let mut replies: BTreeMap<String, Value> = self
            .replies
            .iter()
            .map(|(status, reply)| (status.to_string(), reply.clone()))
            .collect();
        let mut problem =
            content("application/problem+json", &json!({ "$ref": "#/components/schemas/Problem" }));
        problem["description"] = json!("What went wrong (RFC 9457).");
        replies.insert("default".into(), problem);
        let mut operation = json!({
            "operationId": name,
            "summary": self.summary,
            "parameters": path.chain(query).collect::<Vec<_>>(),
            "responses": replies,
        });
        if !self.text.is_empty() {
            operation["description"] = json!(self.text);
        }
        if let Some(request) = &self.request {
            operation["requestBody"] = request.clone();
        }
        if self.open {
            operation["security"] = json!([]);
        }
        operation
    }
}

fn content(media_type: &str, schema: &Value) -> Value {
    json!({ "content": { media_type: { "schema": schema } } })
}

/// The description of these actions, as one document.
pub fn document<'a>(actions: impl IntoIterator<Item = &'a dyn DynAction>) -> Value {
    let mut paths: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
    let mut schemas: BTreeMap<String, Value> = BTreeMap::new();
    for action in actions {
        let mut describe = Describe::default();
        action.describe(&mut describe);
        // An action that says nothing of itself is not part of the public API.
        if describe.summary.is_empty() {
            continue;
        }
        let route = action.route();
        let path = route.path.replace("{*", "{");
        let method = route.method.as_str().to_ascii_lowercase();
        paths.entry(path).or_default().insert(method, describe.operation(action.name(), &route));
        for (name, schema) in describe.schemas {
            schemas.insert(name, serde_json::to_value(schema).unwrap_or_default());
        }
    }
    schemas.insert("Problem".into(), problem_schema());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tarpon",
            "description": "Container jobs behind one HTTP call.",
            "version": "1",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer" },
                "key": { "type": "http", "scheme": "basic" },
            },
        },
        "security": [{ "token": [] }, { "key": [] }],
    })
}

fn problem_schema() -> Value {
    json!({
        "type": "object",
        "required": ["title", "status", "code", "detail"],
        "properties": {
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "code": { "type": "string", "description": "A stable word for programs." },
            "detail": { "type": "string" },
            "field": { "type": "string", "description": "The field that breaks a rule." },
        },
    })
}
