// Prints the alerts that Alertmanager posts.
require('node:http').createServer(async (request, response) => {
  let text = '';
  for await (const part of request) text += part;
  for (const { status, labels, annotations } of JSON.parse(text).alerts) console.log(status, labels.alertname, annotations.summary);
  response.end();
}).listen(5001);
