//! Plain JavaScript objects.

use js_sys::{Object, Reflect};
use wasm_bindgen::JsValue;

/// An object with these properties.
pub(crate) fn object(properties: &[(&str, JsValue)]) -> JsValue {
    let object = Object::new();
    for (name, value) in properties {
        // Setting a property of a fresh plain object cannot fail.
        let _ = Reflect::set(&object, &(*name).into(), value);
    }
    object.into()
}

/// A property; undefined if it is not there.
pub(crate) fn get(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &name.into()).unwrap_or(JsValue::UNDEFINED)
}

/// A property that is a string.
pub(crate) fn get_string(object: &JsValue, name: &str) -> Option<String> {
    get(object, name).as_string()
}

/// What an exception says.
pub(crate) fn error_text(error: &JsValue) -> String {
    get_string(error, "message").unwrap_or_else(|| format!("{error:?}"))
}
