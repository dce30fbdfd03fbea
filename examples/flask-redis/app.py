import os

from flask import Flask
from redis import Redis

app = Flask(__name__)
redis = Redis(host=os.environ["REDIS_HOST"])


@app.get("/")
def visit():
    return f"You are visitor number {redis.incr('visits')}.\n"


@app.get("/health")
def health():
    redis.ping()
    return "healthy\n"
