//! ONNX files of nets, as [`onnx`](crate::onnx) has them of trees.

use crate::onnx::{Message, value, wrap};

/// A float input [N, steps, channels].
pub(crate) fn sequences(name: &str, steps: i64, channels: i64) -> Message {
    let dim = |size| Message::new().int(1, size);
    let open = Message::new().message(1, Message::new().bytes(2, "N"));
    let shape = open.message(1, dim(steps)).message(1, dim(channels));
    let tensor = Message::new().int(1, 1).message(2, shape);
    Message::new().bytes(1, name).message(2, Message::new().message(1, tensor))
}

/// A net of x [N, steps, channels] to y from nodes and initializers.
pub(crate) fn net(steps: i64, channels: i64, nodes: Vec<Message>, initializers: Vec<Message>) -> Message {
    let graph = nodes.into_iter().fold(Message::new().bytes(2, "g"), |graph, node| graph.message(1, node));
    let graph = initializers.into_iter().fold(graph, |graph, tensor| graph.message(5, tensor));
    wrap(graph.message(11, sequences("x", steps, channels)).message(12, value("y", 1)))
}
