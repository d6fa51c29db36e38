//! One call of an AWS API, read off its request: what IAM would ask for it.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde_json::Value;

/// What an account's resources here begin with.
pub const HERE: &str = "us-east-1:000000000000";

/// A call, as far as rights are concerned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// The API's name of it.
    pub operation: String,
    /// What one needs to be allowed: an action, and the resource's ARN.
    pub needs: Vec<(String, String)>,
    /// The cluster that it names, as it names it.
    pub cluster: Option<String>,
    /// Whether it may change anything.
    pub changes: bool,
    /// Whether it is made by who was given a signed URL, with the rights of
    /// who signed it.
    pub by_url: bool,
}

/// A request of HTTP/1.1.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The method.
    pub method: String,
    /// The path and the query.
    pub target: String,
    /// The headers, in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
}

impl Asked {
    /// What JSON APIs call the operation.
    pub fn operation(&self) -> Option<(&str, &str)> {
        self.headers.get("x-amz-target")?.split_once('.')
    }
}

impl Call {
    /// The call of this request; `None` if it is one that nothing here knows.
    pub fn of(asked: &Asked) -> Option<Call> {
        let Some((api, operation)) = asked.operation() else { return object(asked) };
        let request: Value = serde_json::from_slice(&asked.body).ok()?;
        let needs = match api {
            "DynamoDB_20120810" => items(operation, &request)?,
            "secretsmanager" => {
                vec![need("secretsmanager", operation, secret(operation, &request))]
            }
            _ if api.starts_with("AmazonEC2ContainerService") => tasks(operation, &request)?,
            _ => return None,
        };
        let reads = ["Get", "Query", "BatchGet", "Describe", "List"];
        Some(Call {
            operation: operation.to_owned(),
            needs,
            cluster: request["cluster"].as_str().map(str::to_owned),
            changes: !reads.iter().any(|word| operation.starts_with(word)),
            by_url: false,
        })
    }
}

fn need(service: &str, action: &str, resource: String) -> (String, String) {
    (format!("{service}:{action}"), resource)
}

fn table(name: &Value) -> String {
    format!("arn:aws:dynamodb:{HERE}:table/{}", name.as_str().unwrap_or_default())
}

fn items(operation: &str, request: &Value) -> Option<Vec<(String, String)>> {
    let plain = |action: &str, name: &Value| need("dynamodb", action, table(name));
    Some(match operation {
        "GetItem" | "UpdateItem" | "PutItem" | "DeleteItem" => {
            vec![plain(operation, &request["TableName"])]
        }
        "Query" => {
            let index = request["IndexName"].as_str().map(|index| format!("/index/{index}"));
            let of = table(&request["TableName"]) + &index.unwrap_or_default();
            vec![need("dynamodb", "Query", of)]
        }
        "BatchGetItem" => {
            let tables = request["RequestItems"].as_object()?;
            tables.keys().map(|name| plain(operation, &name.as_str().into())).collect()
        }
        "TransactWriteItems" => {
            let kinds = [
                ("Put", "PutItem"),
                ("Update", "UpdateItem"),
                ("Delete", "DeleteItem"),
                ("ConditionCheck", "ConditionCheckItem"),
            ];
            let writes = request["TransactItems"].as_array()?;
            let need = |write: &Value| {
                let (kind, action) = kinds.iter().find(|(kind, _)| write.get(kind).is_some())?;
                Some(plain(action, &write[*kind]["TableName"]))
            };
            writes.iter().map(need).collect::<Option<_>>()?
        }
        _ => return None,
    })
}

/// By its ARN, or by the name that it is to have.
fn secret(operation: &str, request: &Value) -> String {
    let field = if operation == "CreateSecret" { "Name" } else { "SecretId" };
    let name = request[field].as_str().unwrap_or_default();
    if name.starts_with("arn:") {
        return name.to_owned();
    }
    format!("arn:aws:secretsmanager:{HERE}:secret:{name}")
}

fn tasks(operation: &str, request: &Value) -> Option<Vec<(String, String)>> {
    let all = || "*".to_owned();
    let text = |name: &str| request[name].as_str().unwrap_or_default().to_owned();
    Some(match operation {
        "RunTask" => {
            let family = text("taskDefinition");
            let definition = format!("arn:aws:ecs:{HERE}:task-definition/{family}:1");
            let mut needs = vec![need("ecs", operation, definition)];
            if request["tags"].as_array().is_some_and(|tags| !tags.is_empty()) {
                let cluster = text("cluster");
                let tasks = format!("arn:aws:ecs:{HERE}:task/{cluster}/*");
                needs.push(need("ecs", "TagResource", tasks));
            }
            needs
        }
        "RegisterTaskDefinition" => {
            vec![need("ecs", operation, all()), need("iam", "PassRole", text("executionRoleArn"))]
        }
        "DescribeTaskDefinition" | "ListTasks" => vec![need("ecs", operation, all())],
        "DescribeTasks" => {
            let arns = request["tasks"].as_array()?.iter().filter_map(Value::as_str);
            arns.map(|arn| need("ecs", operation, arn.to_owned())).collect()
        }
        "StopTask" => vec![need("ecs", operation, text("task"))],
        _ => return None,
    })
}

/// A call of S3, in the path's style.
fn object(asked: &Asked) -> Option<Call> {
    let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
    let names: BTreeMap<&str, &str> =
        query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect();
    let path = percent_decode_str(path.strip_prefix('/')?).decode_utf8().ok()?;
    let (bucket, key) = path.split_once('/').unwrap_or((&path, ""));
    let has = |name: &str| names.contains_key(name);
    let (operation, action) = match (asked.method.as_str(), key.is_empty()) {
        ("GET", true) if has("list-type") => ("ListObjectsV2", "ListBucket"),
        ("GET", false) if has("uploadId") => ("ListParts", "ListMultipartUploadParts"),
        ("GET", false) => ("GetObject", "GetObject"),
        ("HEAD", false) => ("HeadObject", "GetObject"),
        ("PUT", false) if has("partNumber") => ("UploadPart", "PutObject"),
        ("PUT", false) => ("PutObject", "PutObject"),
        ("POST", false) if has("uploads") => ("CreateMultipartUpload", "PutObject"),
        ("POST", false) if has("uploadId") => ("CompleteMultipartUpload", "PutObject"),
        ("DELETE", false) if has("uploadId") => ("AbortMultipartUpload", "AbortMultipartUpload"),
        ("DELETE", false) => ("DeleteObject", "DeleteObject"),
        _ => return None,
    };
    let slash = if key.is_empty() { "" } else { "/" };
    let arn = format!("arn:aws:s3:::{bucket}{slash}{key}");
    Some(Call {
        operation: operation.to_owned(),
        needs: vec![need("s3", action, arn)],
        cluster: None,
        changes: !matches!(asked.method.as_str(), "GET" | "HEAD"),
        by_url: has("X-Amz-Signature"),
    })
}
