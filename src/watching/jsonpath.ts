import { JSONPathEnvironment, JSONPathError, type JSONPathNode, type JSONPathQuery, jsonpath } from "json-p3";
import { JSONPath as evaluatePlus } from "jsonpath-plus";
