// POST /order takes an order, GET /metrics counts them for Prometheus.
let orders = 0;
require('node:http').createServer((request, response) => {
  if (request.method === 'POST') orders += 1;
  response.setHeader('Content-Type', 'text/plain; version=0.0.4');
  response.end(`# TYPE shop_orders_total counter\nshop_orders_total ${orders}\n`);
}).listen(9464);
