// A function that keeps the events it is given, one JSON a line, as Lambda would hand them over.
const { appendFileSync } = require("node:fs");

exports.handler = async (event) => {
  appendFileSync(process.env.EVENTS, `${JSON.stringify(event)}\n`);
  return { statusCode: 200, body: "" };
};
