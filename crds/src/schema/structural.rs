//! JSON schema as schemars writes it, into the dialect that Kubernetes calls structural.

use schemars::{
    Schema,
    transform::{Transform, transform_subschemas},
};
use serde_json::{Map, Value};

use super::cel::VALIDATIONS;

/// The translation; from the outside in, so that a field's own description wins over its type's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Structural;

impl Transform for Structural {
    fn transform(&mut self, schema: &mut Schema) {
        if let Some(schema) = schema.as_object_mut() {
            lift_optional(schema);
            drop_null(schema);
            list_values(schema);
            bound(schema);
            if let Some(text) = schema.get("description").and_then(Value::as_str).map(joined) {
                schema.insert("description".to_owned(), text.into());
            }
            // Titles repeat the Rust type's name.
            schema.remove("title");
        }
        transform_subschemas(self, schema);
    }
}

/// `anyOf: [T, null]` is what schemars makes of an optional enumeration: `T` takes its place.
fn lift_optional(schema: &mut Map<String, Value>) {
    let is_null = |value: &Value| value.get("type").is_some_and(|kind| kind == "null");
    let Some(Value::Array(choices)) = schema.get("anyOf") else { return };
    let mut other = choices.iter().filter(|choice| !is_null(choice));
    let (Some(Value::Object(only)), None) = (other.next(), other.next()) else { return };
    let only = only.clone();
    schema.remove("anyOf");
    for (key, value) in only {
        match (schema.get_mut(&key), value) {
            (Some(Value::Array(here)), Value::Array(more)) if key == VALIDATIONS => here.extend(more),
            (Some(_), _) => {}
            (None, value) => {
                schema.insert(key, value);
            }
        }
    }
}

fn drop_null(schema: &mut Map<String, Value>) {
    if let Some(Value::Array(kinds)) = schema.get("type") {
        let mut kinds = kinds.iter().filter(|kind| *kind != "null");
        if let (Some(only), None) = (kinds.next().cloned(), kinds.next()) {
            schema.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    if schema.get("default").is_some_and(Value::is_null) {
        schema.remove("default");
    }
}

/// An enumeration of texts, each with its meaning, as one list with all meanings in the description.
fn list_values(schema: &mut Map<String, Value>) {
    let Some(Value::Array(choices)) = schema.get("oneOf") else { return };
    let value = |choice: &Value| choice.get("const").and_then(Value::as_str).map(str::to_owned);
    let Some(values) = choices.iter().map(value).collect::<Option<Vec<_>>>() else { return };
    let meaning = |(value, choice): (&String, &Value)| {
        choice.get("description").and_then(Value::as_str).map(|text| format!("- `{value}`: {}", joined(text)))
    };
    let meanings: Vec<_> = values.iter().zip(choices).filter_map(meaning).collect();
    let description = schema.get("description").and_then(Value::as_str).map_or_else(String::new, joined);
    let description = format!("{description}\n{}", meanings.join("\n"));
    schema.insert("description".to_owned(), description.trim().into());
    schema.insert("type".to_owned(), "string".into());
    schema.insert("enum".to_owned(), values.into());
    schema.remove("oneOf");
}

/// Kubernetes knows `int32` and `int64`; bounds express what fits the type.
fn bound(schema: &mut Map<String, Value>) {
    let maximum: u64 = match schema.get("format").and_then(Value::as_str) {
        Some("uint8") => u8::MAX.into(),
        Some("uint16") => u16::MAX.into(),
        Some("uint32") => u32::MAX.into(),
        Some("uint64" | "uint") => i64::MAX.cast_unsigned(),
        _ => return,
    };
    schema.insert("format".to_owned(), "int64".into());
    if maximum < i64::MAX.cast_unsigned() {
        schema.entry("maximum").or_insert_with(|| maximum.into());
    }
}

/// Doc comments break lines where the source does; lists keep theirs.
fn joined(text: &str) -> String {
    text.replace("\n- ", "\0").replace('\n', " ").replace('\0', "\n- ")
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde_json::json;

    use super::*;

    fn structural<T: JsonSchema>() -> Value {
        super::super::schema_of::<T>()
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    enum Colour {
        /// Like grass.
        Green,
        /// Like a
        /// rose.
        Red,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Thing {
        /// Of its
        /// paint.
        colour: Option<Colour>,
        /// How many.
        count: u32,
        /// How old.
        age: Option<u64>,
    }

    #[test]
    fn an_optional_enumeration_is_a_text_with_its_values_explained() {
        let colour = &structural::<Thing>()["properties"]["colour"];
        let description = "Of its paint.\n- `Green`: Like grass.\n- `Red`: Like a rose.";
        assert_eq!(*colour, json!({"type": "string", "enum": ["Green", "Red"], "description": description}));
    }

    #[test]
    fn integers_keep_their_bounds_without_formats_that_kubernetes_does_not_know() {
        let thing = structural::<Thing>();
        let count = json!({
            "type": "integer", "format": "int64", "minimum": 0, "maximum": 4_294_967_295_u32, "description": "How many."
        });
        let age = json!({"type": "integer", "format": "int64", "minimum": 0, "description": "How old."});
        assert_eq!((&thing["properties"]["count"], &thing["properties"]["age"]), (&count, &age));
        assert_eq!(thing["required"], json!(["count"]));
    }
}
