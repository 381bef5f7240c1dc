//! Writes ONNX files byte by byte, well-formed or not, so that a test can lie about anything.

/// A protobuf message under construction.
#[derive(Debug, Clone, Default)]
pub(crate) struct Message(pub(crate) Vec<u8>);

impl Message {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn raw_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    pub(crate) fn int(mut self, field: u64, value: i64) -> Self {
        self.raw_varint(field << 3);
        self.raw_varint(value as u64);
        self
    }

    pub(crate) fn float(mut self, field: u64, value: f32) -> Self {
        self.raw_varint(field << 3 | 5);
        self.0.extend(value.to_le_bytes());
        self
    }

    pub(crate) fn bytes(mut self, field: u64, value: impl AsRef<[u8]>) -> Self {
        self.raw_varint(field << 3 | 2);
        self.raw_varint(value.as_ref().len() as u64);
        self.0.extend(value.as_ref());
        self
    }

    pub(crate) fn message(self, field: u64, value: Message) -> Self {
        self.bytes(field, value.0)
    }
}

pub(crate) fn float_attribute(name: &str, value: f32) -> Message {
    Message::new().bytes(1, name).float(2, value).int(20, 1)
}

pub(crate) fn int_attribute(name: &str, value: i64) -> Message {
    Message::new().bytes(1, name).int(3, value).int(20, 2)
}

pub(crate) fn floats_attribute(name: &str, values: &[f32]) -> Message {
    values.iter().fold(Message::new().bytes(1, name).int(20, 6), |message, value| message.float(7, *value))
}

pub(crate) fn ints_attribute(name: &str, values: &[i64]) -> Message {
    values.iter().fold(Message::new().bytes(1, name).int(20, 7), |message, value| message.int(8, *value))
}

pub(crate) fn strings_attribute(name: &str, values: &[&str]) -> Message {
    values.iter().fold(Message::new().bytes(1, name).int(20, 8), |message, value| message.bytes(9, value))
}

pub(crate) fn tensor_attribute(name: &str, value: Message) -> Message {
    Message::new().bytes(1, name).message(5, value).int(20, 4)
}

pub(crate) fn node(op: &str, domain: &str, inputs: &[&str], outputs: &[&str], attributes: Vec<Message>) -> Message {
    let message = inputs.iter().fold(Message::new().bytes(3, format!("the {op}")), |node, name| node.bytes(1, name));
    let message = outputs.iter().fold(message, |node, name| node.bytes(2, name)).bytes(4, op).bytes(7, domain);
    attributes.into_iter().fold(message, |node, attribute| node.message(5, attribute))
}

/// A float tensor by raw data.
pub(crate) fn floats_tensor(name: &str, dims: &[i64], values: &[f32]) -> Message {
    let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    tensor(name, dims, 1, &raw)
}

pub(crate) fn ints_tensor(name: &str, dims: &[i64], values: &[i64]) -> Message {
    let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    tensor(name, dims, 7, &raw)
}

pub(crate) fn tensor(name: &str, dims: &[i64], element: i64, raw: &[u8]) -> Message {
    let message = dims.iter().fold(Message::new(), |tensor, dim| tensor.int(1, *dim));
    message.int(2, element).bytes(8, name).bytes(9, raw)
}

/// A float input or output [N, columns].
pub(crate) fn value(name: &str, columns: i64) -> Message {
    let shape = Message::new().message(1, Message::new().bytes(2, "N")).message(1, Message::new().int(1, columns));
    let tensor = Message::new().int(1, 1).message(2, shape);
    Message::new().bytes(1, name).message(2, Message::new().message(1, tensor))
}

/// A model of x [N, columns] to y from nodes and initializers.
pub(crate) fn model(columns: i64, nodes: Vec<Message>, initializers: Vec<Message>) -> Message {
    let graph = nodes.into_iter().fold(Message::new().bytes(2, "g"), |graph, node| graph.message(1, node));
    let graph = initializers.into_iter().fold(graph, |graph, tensor| graph.message(5, tensor));
    wrap(graph.message(11, value("x", columns)).message(12, value("y", 1)))
}

/// A model around a graph.
pub(crate) fn wrap(graph: Message) -> Message {
    let opset = |domain: &str, version| Message::new().bytes(1, domain).int(2, version);
    Message::new().int(1, 9).message(7, graph).message(8, opset("", 17)).message(8, opset("ai.onnx.ml", 3))
}

/// The lists of a regressor, to be bent before they are written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trees {
    pub(crate) trees: Vec<i64>,
    pub(crate) ids: Vec<i64>,
    pub(crate) features: Vec<i64>,
    pub(crate) values: Vec<f32>,
    pub(crate) modes: Vec<&'static str>,
    pub(crate) yes: Vec<i64>,
    pub(crate) no: Vec<i64>,
    pub(crate) missing: Vec<i64>,
    pub(crate) target_trees: Vec<i64>,
    pub(crate) target_nodes: Vec<i64>,
    pub(crate) targets: Vec<i64>,
    pub(crate) weights: Vec<f32>,
}

impl Trees {
    /// Perfect trees of a depth, with features and thresholds from a linear congruence: the same at every run.
    pub(crate) fn perfect(count: i64, depth: u32, features: i64) -> Self {
        let mut trees = Self::default();
        let mut state = 12_345u64;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f32 / (1u64 << 31) as f32
        };
        let (inner, all) = ((1i64 << depth) - 1, (1i64 << (depth + 1)) - 1);
        for tree in 0..count {
            for id in 0..all {
                let leaf = id >= inner;
                trees.trees.push(tree);
                trees.ids.push(id);
                trees.features.push(if leaf { 0 } else { (next() * features as f32) as i64 % features });
                trees.values.push(if leaf { 0.0 } else { next() });
                trees.modes.push(if leaf { "LEAF" } else { "BRANCH_LT" });
                trees.yes.push(if leaf { 0 } else { 2 * id + 1 });
                trees.no.push(if leaf { 0 } else { 2 * id + 2 });
                trees.missing.push(if leaf { 0 } else { (next() * 2.0) as i64 });
                if leaf {
                    trees.weigh(tree, id, next() - 0.5);
                }
            }
        }
        trees
    }

    /// Gives a leaf a weight for target 0.
    pub(crate) fn weigh(&mut self, tree: i64, id: i64, weight: f32) {
        self.target_trees.push(tree);
        self.target_nodes.push(id);
        self.targets.push(0);
        self.weights.push(weight);
    }

    pub(crate) fn node(&self) -> Message {
        self.regressor(1, "y")
    }

    /// The regressor with a number of targets, as a named value.
    pub(crate) fn regressor(&self, targets: i64, output: &str) -> Message {
        let mut attributes = self.nodes();
        attributes.extend([
            int_attribute("n_targets", targets),
            ints_attribute("target_treeids", &self.target_trees),
            ints_attribute("target_nodeids", &self.target_nodes),
            ints_attribute("target_ids", &self.targets),
            floats_attribute("target_weights", &self.weights),
        ]);
        node("TreeEnsembleRegressor", "ai.onnx.ml", &["x"], &[output], attributes)
    }

    /// The same trees voting for classes, with what else a classifier has.
    pub(crate) fn classifier(&self, more: Vec<Message>) -> Message {
        let mut attributes = self.nodes();
        attributes.extend([
            ints_attribute("class_treeids", &self.target_trees),
            ints_attribute("class_nodeids", &self.target_nodes),
            ints_attribute("class_ids", &self.targets),
            floats_attribute("class_weights", &self.weights),
        ]);
        attributes.extend(more);
        node("TreeEnsembleClassifier", "ai.onnx.ml", &["x"], &["label", "y"], attributes)
    }

    fn nodes(&self) -> Vec<Message> {
        vec![
            ints_attribute("nodes_treeids", &self.trees),
            ints_attribute("nodes_nodeids", &self.ids),
            ints_attribute("nodes_featureids", &self.features),
            floats_attribute("nodes_values", &self.values),
            strings_attribute("nodes_modes", &self.modes),
            ints_attribute("nodes_truenodeids", &self.yes),
            ints_attribute("nodes_falsenodeids", &self.no),
            ints_attribute("nodes_missing_value_tracks_true", &self.missing),
        ]
    }
}
