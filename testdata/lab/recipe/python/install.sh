# Python 3.11 and, since no package index is reachable, what requirements.txt of the examples name: pip finds it there already.
apt-get -qq install -y --no-install-recommends python3 python3-pip python3-flask python3-redis python3-gunicorn gunicorn python3-django python3-psycopg2 >/dev/null
ln -s python3 /usr/bin/python && [ -e /usr/bin/pip ]
# The official image's Python is nobody else's: pip may install into it.
rm -f /usr/lib/python3.11/EXTERNALLY-MANAGED
python -c 'import flask, redis, gunicorn, django, psycopg2'
