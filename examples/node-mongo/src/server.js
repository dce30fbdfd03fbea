// A catalogue of things: GET / lists the documents, POST / adds one, GET /?colour=red finds some, GET /health asks the database.
const http = require('node:http');
const { MongoClient } = require('mongodb');

const client = new MongoClient(process.env.MONGO_URL);
const things = client.db().collection('things');

const body = async (request) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  return JSON.parse(Buffer.concat(parts).toString());
};

const answer = async (request, url) => {
  if (url.pathname === '/health') return client.db().command({ ping: 1 });
  if (request.method === 'POST') {
    const { insertedId } = await things.insertOne(await body(request));
    return { insertedId };
  }
  return things.find(Object.fromEntries(url.searchParams), { projection: { _id: 0 } }).toArray();
};

const server = http.createServer(async (request, response) => {
  try {
    const found = await answer(request, new URL(request.url, 'http://localhost'));
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify(found) + '\n');
  } catch (error) {
    console.error(error.message);
    response.writeHead(500).end(error.message + '\n');
  }
});

process.on('SIGTERM', () => server.close(() => client.close()));
server.listen(3000, () => console.log('listening on 3000'));
