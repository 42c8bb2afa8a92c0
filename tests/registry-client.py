#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""registry-client.py SECTION ADDRESS ROOT: a client of `lodge registry serve` that says what no tool would, and
checks each answer. Fails with the line that was wrong. Used by tests/cli/registry-protocol.bats."""
import glob
import hashlib
import json
import os
import random
import resource
import socket
import sys
import threading
import time

HOST, ROOT = None, None
OCI = 'application/vnd.oci.image.manifest.v1+json'
INDEX = 'application/vnd.oci.image.index.v1+json'
DOCKER = 'application/vnd.docker.distribution.manifest.v2+json'
LIST = 'application/vnd.docker.distribution.manifest.list.v2+json'


def digest(data):
    return 'sha256:' + hashlib.sha256(data).hexdigest()


def connect(timeout=20):
    host, _, port = HOST.rpartition(':')
    s = socket.create_connection((host, int(port)), timeout)
    return s


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def __getitem__(self, name):
        return self.headers.get(name.lower())

    def json(self):
        return json.loads(self.body)

    def code(self):
        return self.json()['errors'][0]['code']


def read_answer(f, head_only=False):
    line = f.readline()
    if not line:
        return None
    status = int(line.split()[1])
    headers = {}
    while True:
        line = f.readline()
        if line in (b'\r\n', b''):
            break
        name, _, value = line.decode().partition(':')
        name, value = name.lower(), value.strip()
        headers[name] = headers[name] + ', ' + value if name in headers else value
    if status == 100:
        return read_answer(f, head_only)
    n = 0 if head_only or status in (204, 304) else int(headers.get('content-length', 0))
    body = f.read(n)
    assert len(body) == n, f'{len(body)} of {n} bytes'
    return Answer(status, headers, body)


def ask(method, path, body=None, headers=(), chunked=False, want=None):
    """One request on a connection of its own. headers: pairs."""
    with connect() as s:
        head = f'{method} {path} HTTP/1.1\r\nHost: {HOST}\r\n'
        for k, v in headers:
            head += f'{k}: {v}\r\n'
        if chunked:
            head += 'Transfer-Encoding: chunked\r\n'
        elif body is not None:
            head += f'Content-Length: {len(body)}\r\n'
        s.sendall(head.encode() + b'\r\n')
        try:
            if chunked:
                for at in range(0, len(body), 1000):
                    piece = body[at:at + 1000]
                    s.sendall(b'%x\r\n%s\r\n' % (len(piece), piece))
                s.sendall(b'0\r\n\r\n')
            elif body:
                s.sendall(body)
        except (BrokenPipeError, ConnectionResetError):
            pass
        a = read_answer(s.makefile('rb'), method == 'HEAD')
    if want is not None:
        assert a.status == want, f'{method} {path}: {a.status}, not {want}: {a.body[:300]}'
    return a


def raw(data, half=False):
    """Bytes as they are; all answers until the end."""
    with connect() as s:
        s.sendall(data)
        if half:
            s.shutdown(socket.SHUT_WR)
        f, all_ = s.makefile('rb'), []
        while True:
            try:
                a = read_answer(f)
            except ConnectionResetError:
                break
            if a is None:
                break
            all_.append(a)
        return all_


def begin(repo):
    a = ask('POST', f'/v2/{repo}/blobs/uploads/', b'', want=202)
    assert a['location'] and a['docker-upload-uuid'], a.headers
    return a['location']


def push(repo, data):
    d = digest(data)
    a = ask('PUT', f'{begin(repo)}?digest={d}', data, want=201)
    assert a['location'] == f'/v2/{repo}/blobs/{d}' and a['docker-content-digest'] == d
    return d


def descriptor(data, kind):
    return {'mediaType': kind, 'digest': digest(data), 'size': len(data)}


def image(repo, ref, name, kind=OCI, **more):
    """Pushes an image of one layer; its manifest's bytes."""
    layer, config = f'layer {name}'.encode(), json.dumps({'name': name}).encode()
    push(repo, layer)
    push(repo, config)
    m = {'schemaVersion': 2, 'mediaType': kind,
         'config': descriptor(config, 'application/vnd.oci.image.config.v1+json'),
         'layers': [descriptor(layer, 'application/vnd.oci.image.layer.v1.tar')], **more}
    data = json.dumps(m).encode()
    a = ask('PUT', f'/v2/{repo}/manifests/{ref or digest(data)}', data, [('Content-Type', kind)], want=201)
    assert a['docker-content-digest'] == digest(data)
    if 'subject' in more:
        assert a['oci-subject'] == more['subject']['digest']
    return data


# --- sections ---------------------------------------------------------------------------------------------------

def blobs():
    data = os.urandom(300000)
    d = digest(data)
    assert ask('HEAD', f'/v2/a/blobs/{d}').status == 404
    assert ask('GET', f'/v2/a/blobs/{d}', want=404).code() == 'BLOB_UNKNOWN'
    # POST and PUT
    push('a', data)
    a = ask('HEAD', f'/v2/a/blobs/{d}', want=200)
    assert a['content-length'] == '300000' and a['docker-content-digest'] == d
    assert ask('GET', f'/v2/a/blobs/{d}', want=200).body == data
    # not in another repository
    ask('GET', f'/v2/b/blobs/{d}', want=404)
    # one POST
    one = os.urandom(5000)
    a = ask('POST', f'/v2/a/blobs/uploads/?digest={digest(one)}', one, want=201)
    assert a['location'] == f'/v2/a/blobs/{digest(one)}'
    assert ask('GET', a['location'], want=200).body == one
    assert ask('POST', f'/v2/a/blobs/uploads/?digest={digest(one)}', b'other', want=400).code() == 'DIGEST_INVALID'
    assert ask('POST', '/v2/a/blobs/uploads/?digest=md5:5', b'other', want=400).code() == 'DIGEST_INVALID'
    ask('POST', '/v2/a/blobs/uploads/?digest-algorithm=sha512', b'', want=400)
    # nothing is a blob, too
    push('a', b'')
    assert ask('GET', f'/v2/a/blobs/{digest(b"")}', want=200).body == b''
    # mount
    a = ask('POST', f'/v2/b/blobs/uploads/?mount={d}&from=a', b'', want=201)
    assert a['location'] == f'/v2/b/blobs/{d}'
    assert ask('GET', a['location'], want=200).body == data
    ask('POST', f'/v2/c/blobs/uploads/?mount={d}', b'', want=201)
    ask('POST', f'/v2/c/blobs/uploads/?mount={digest(b"no")}&from=a', b'', want=202)
    ask('POST', f'/v2/d/blobs/uploads/?mount={d}&from=nope', b'', want=202)
    # one copy of the bytes
    st = os.stat(f'{ROOT}/blobs/sha256/{d[7:]}')
    assert st.st_nlink == 4, st
    # removed from one, not from the other
    ask('DELETE', f'/v2/a/blobs/{d}', want=202)
    ask('GET', f'/v2/a/blobs/{d}', want=404)
    assert ask('DELETE', f'/v2/a/blobs/{d}', want=404).code() == 'BLOB_UNKNOWN'
    ask('GET', f'/v2/b/blobs/{d}', want=200)
    assert ask('GET', '/v2/a/blobs/sha256:xyz', want=400).code() == 'DIGEST_INVALID'


def ranges():
    data = os.urandom(100000)
    url = f'/v2/a/blobs/{push("a", data)}'
    for value, first, last in [('bytes=0-9', 0, 9), ('bytes=99990-', 99990, 99999), ('bytes=-5', 99995, 99999),
                               ('bytes=5-1000000', 5, 99999)]:
        a = ask('GET', url, headers=[('Range', value)], want=206)
        assert a.body == data[first:last + 1], value
        assert a['content-range'] == f'bytes {first}-{last}/100000', a.headers
    a = ask('GET', url, headers=[('Range', 'bytes=100000-')], want=416)
    assert a['content-range'] == 'bytes */100000'
    ask('GET', url, headers=[('Range', 'bytes=0-1,5-6')], want=200)
    ask('GET', url, headers=[('Range', 'lines=0-1')], want=200)
    a = ask('HEAD', url, want=200)
    assert a['accept-ranges'] == 'bytes'
    etag = a['etag']
    assert ask('GET', url, headers=[('If-None-Match', f'"x", {etag}')], want=304).body == b''
    ask('GET', url, headers=[('If-None-Match', '"x"')], want=200)
    ask('GET', url, headers=[('Range', 'bytes=0-9'), ('If-Range', etag)], want=206)
    ask('GET', url, headers=[('Range', 'bytes=0-9'), ('If-Range', '"old"')], want=200)


def chunks():
    data = os.urandom(250000)
    d = digest(data)
    url = begin('a')
    assert ask('GET', url, want=204)['range'] == '0-0'
    a = ask('PATCH', url, data[:100000], [('Content-Range', '0-99999')], want=202)
    assert a['range'] == '0-99999'
    a = ask('GET', url, want=204)
    assert a['range'] == '0-99999' and a['location'] == url
    # out of order, again, too far, of another length
    a = ask('PATCH', url, data[:100000], [('Content-Range', '0-99999')], want=416)
    assert a['range'] == '0-99999' and a['location'] == url
    ask('PATCH', url, data[150000:], [('Content-Range', '150000-249999')], want=416)
    assert ask('PATCH', url, b'abc', [('Content-Range', '100000-100009')], want=400).code() == 'SIZE_INVALID'
    assert ask('PATCH', url, b'abc', [('Content-Range', '100000-100009')], chunked=True, want=400).code() == 'SIZE_INVALID'
    ask('PATCH', url, b'abc', [('Content-Range', 'all')], want=400)
    assert ask('GET', url, want=204)['range'] == '0-99999'
    # without a range, chunked by HTTP
    ask('PATCH', url, data[100000:200000], chunked=True, want=202)
    # the last one with the PUT
    ask('PUT', f'{url}?digest={d}', data[200000:], [('Content-Range', '150000-249999')], want=416)
    ask('PUT', f'{url}?digest={d}', data[200000:], [('Content-Range', '200000-249999')], want=201)
    assert ask('GET', f'/v2/a/blobs/{d}', want=200).body == data
    ask('GET', url, want=404)
    # with nothing in the PUT
    url = begin('a')
    ask('PATCH', url, data[:7], want=202)
    ask('PUT', f'{url}?digest={digest(data[:7])}', b'', want=201)
    # wrong digest: the upload is gone, the blob isn't there
    url = begin('a')
    assert ask('PUT', f'{url}?digest={digest(b"x")}', b'y', want=400).code() == 'DIGEST_INVALID'
    ask('GET', f'/v2/a/blobs/{digest(b"x")}', want=404)
    ask('GET', f'/v2/a/blobs/{digest(b"y")}', want=404)
    assert ask('GET', url, want=404).code() == 'BLOB_UPLOAD_UNKNOWN'
    url = begin('a')
    for bad in '', '?digest=sha256:1', '?digest=sha512:' + '0' * 128, '?digest=%zz':
        assert ask('PUT', url + bad, b'', want=400).code() == 'DIGEST_INVALID'
    # given up
    ask('DELETE', url, want=204)
    ask('DELETE', url, want=404)
    ask('PATCH', url, b'x', want=404)
    # of another repository
    url = begin('a').replace('/v2/a/', '/v2/b/')
    ask('PATCH', url, b'x', want=404)


def cut():
    """Connections that end in the middle: what came stays, the hash is right."""
    data = os.urandom(3000000)
    url = begin('cut')
    at = 0
    for end in 1000000, 1700000, 2999999:
        with connect() as s:
            s.sendall(f'PATCH {url} HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n'.encode() + data[at:end])
        deadline = time.time() + 10
        while True:
            r = ask('GET', url, want=204)['range']
            if r == f'0-{end - 1}' or time.time() > deadline:
                break
            time.sleep(0.01)
        assert r == f'0-{end - 1}', r
        at = end
    ask('PATCH', url, data[at:], [('Content-Range', f'{at}-{len(data) - 1}')], want=202)
    ask('PUT', f'{url}?digest={digest(data)}', b'', want=201)
    # a whole PUT that was cut begins anew
    url = begin('cut')
    with connect() as s:
        s.sendall(f'PUT {url}?digest={digest(data)} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n'.encode() + data[:500000])
        time.sleep(0.2)
    time.sleep(0.2)
    assert ask('GET', url, want=204)['range'] == '0-0'
    ask('PUT', f'{url}?digest={digest(data)}', data, want=201)
    # two writers of one upload: the later one goes on where the other was
    url = begin('cut')
    with connect() as s:
        s.sendall(f'PATCH {url} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345'.encode())
        time.sleep(0.2)
        assert ask('PATCH', url, b'x', want=202)['range'] == '0-5'
        assert s.recv(100) == b''
    ask('PUT', f'{url}?digest={digest(b"12345x")}', b'', want=201)


def manifests():
    for i, kind in enumerate([OCI, DOCKER]):
        data = image('m/x', f't{i}', f'i{i}', kind)
        d = digest(data)
        for ref in f't{i}', d:
            a = ask('GET', f'/v2/m/x/manifests/{ref}', want=200)
            assert a.body == data and a['content-type'] == kind and a['docker-content-digest'] == d
            a = ask('HEAD', f'/v2/m/x/manifests/{ref}', want=200)
            assert a['content-length'] == str(len(data)) and a['content-type'] == kind
            etag = a['etag']
            ask('GET', f'/v2/m/x/manifests/{ref}', headers=[('If-None-Match', etag)], want=304)
    for i, kind in enumerate([INDEX, LIST]):
        child = image('m/x', None, f'c{i}', [OCI, DOCKER][i])
        idx = json.dumps({'schemaVersion': 2, 'mediaType': kind, 'manifests': [descriptor(child, [OCI, DOCKER][i])]}).encode()
        ask('PUT', '/v2/m/x/manifests/idx', idx, [('Content-Type', kind)], want=201)
        a = ask('GET', '/v2/m/x/manifests/idx', want=200)
        assert a.body == idx and a['content-type'] == kind
    # the type comes with the request when it isn't in the text
    bare = json.dumps({'schemaVersion': 2, 'manifests': []}).encode()
    ask('PUT', '/v2/m/x/manifests/bare', bare, [('Content-Type', INDEX + '; charset=utf-8')], want=201)
    assert ask('GET', '/v2/m/x/manifests/bare', want=200)['content-type'] == INDEX
    # by digest, with tags
    d = digest(bare)
    a = ask('PUT', f'/v2/m/x/manifests/{d}?tag=one&tag=two', bare, [('Content-Type', INDEX)], want=201)
    assert a['oci-tag'] == 'one, two', a.headers
    assert ask('GET', '/v2/m/x/manifests/two', want=200).body == bare
    # what is refused
    good = {'schemaVersion': 2, 'mediaType': OCI, 'config': descriptor(b'', 'x/y'), 'layers': []}
    push('m/x', b'')
    bad = [
        (b'', 'MANIFEST_INVALID'), (b'{', 'MANIFEST_INVALID'), (b'[]', 'MANIFEST_INVALID'),
        (b'[' * 100000, 'MANIFEST_INVALID'),
        ({**good, 'schemaVersion': 1}, 'MANIFEST_INVALID'),
        ({**good, 'mediaType': 'text/html'}, 'MANIFEST_INVALID'),
        ({**good, 'mediaType': DOCKER}, 'MANIFEST_INVALID'),
        ({**good, 'config': {}}, 'MANIFEST_INVALID'),
        ({**good, 'config': {**good['config'], 'digest': 'sha256:../../x'}}, 'MANIFEST_INVALID'),
        ({**good, 'config': {**good['config'], 'size': -1}}, 'MANIFEST_INVALID'),
        ({**good, 'config': {**good['config'], 'size': 5}}, 'MANIFEST_INVALID'),
        ({**good, 'layers': {}}, 'MANIFEST_INVALID'),
        ({**good, 'layers': [good['config']] * 10001}, 'MANIFEST_INVALID'),
        ({**good, 'layers': [descriptor(b'nowhere', 'x/y')]}, 'MANIFEST_BLOB_UNKNOWN'),
        ({**good, 'subject': {'digest': 5}}, 'MANIFEST_INVALID'),
    ]
    for body, code in bad:
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        a = ask('PUT', '/v2/m/x/manifests/bad', body, [('Content-Type', OCI)], want=400)
        assert a.code() == code, (body[:200], a.body)
    ask('GET', '/v2/m/x/manifests/bad', want=404)
    assert ask('PUT', f'/v2/m/x/manifests/{digest(b"x")}', json.dumps(good).encode(), want=400).code() == 'DIGEST_INVALID'
    ask('PUT', '/v2/m/x/manifests/.bad', json.dumps(good).encode(), want=400)
    ask('PUT', '/v2/m/x/manifests/' + 'a' * 129, json.dumps(good).encode(), want=400)
    ask('PUT', '/v2/m/x/manifests/' + 'a' * 128, json.dumps(good).encode(), want=201)
    # as large as is allowed, and larger: said so, and not said so
    big = json.dumps({**good, 'annotations': {'x': 'y' * (4194304 - 1000)}}).encode()
    ask('PUT', '/v2/m/x/manifests/big', big, want=201)
    assert ask('GET', '/v2/m/x/manifests/big', want=200).body == big
    for chunked in False, True:
        ask('PUT', '/v2/m/x/manifests/big', b' ' * 4194305, chunked=chunked, want=413)
    foreign = {**good, 'layers': [{**descriptor(b'elsewhere', 'x/y'), 'urls': ['http://h/']}]}
    ask('PUT', '/v2/m/x/manifests/foreign', json.dumps(foreign).encode(), want=201)
    # a manifest is a blob of its repository, too
    assert ask('GET', f'/v2/m/x/blobs/{d}', want=200).body == bare
    # deletion
    ask('DELETE', '/v2/m/x/manifests/one', want=202)
    ask('DELETE', '/v2/m/x/manifests/one', want=404)
    ask('GET', '/v2/m/x/manifests/two', want=200)
    ask('DELETE', f'/v2/m/x/manifests/{d}', want=202)
    for ref in d, 'two', 'bare':
        assert ask('GET', f'/v2/m/x/manifests/{ref}', want=404).code() == 'MANIFEST_UNKNOWN'
    ask('DELETE', f'/v2/m/x/manifests/{d}', want=404)
    ask('DELETE', '/v2/nowhere/manifests/x', want=404)


def lists():
    assert ask('GET', '/v2/', want=200)['docker-distribution-api-version'] == 'registry/2.0'
    assert ask('GET', '/v2/nowhere/tags/list', want=404).code() == 'NAME_UNKNOWN'
    tags = ['1', '10', '2', 'A', '_u', 'a', 'b']
    for t in tags:
        image('l/tags', t, 'same')
    a = ask('GET', '/v2/l/tags/tags/list', want=200)
    assert a.json() == {'name': 'l/tags', 'tags': tags} and not a['link'], a.body
    assert ask('GET', '/v2/l/tags/tags/list?n=0', want=200).json()['tags'] == []
    url, got = '/v2/l/tags/tags/list?n=3', []
    while url:
        a = ask('GET', url, want=200)
        got.append(a.json()['tags'])
        link = a['link']
        assert link is None or link.endswith('>; rel="next"'), link
        url = link and link[1:link.index('>')]
    assert got == [tags[:3], tags[3:6], tags[6:]], got
    assert ask('GET', '/v2/l/tags/tags/list?last=a', want=200).json()['tags'] == ['b']
    assert ask('GET', '/v2/l/tags/tags/list?n=1&last=10x', want=200).json()['tags'] == ['2']
    ask('GET', '/v2/l/tags/tags/list?n=-1', want=400)
    ask('GET', '/v2/l/tags/tags/list?n=x', want=400)
    repos = ['l-a/b', 'l.a', 'l/a', 'l/tags', 'l/tags/below', 'l0']
    for r in repos:
        image(r, 't', 'same')
    assert [r for r in ask('GET', '/v2/_catalog', want=200).json()['repositories'] if r[0] == 'l'] == sorted(repos)
    url, got = '/v2/_catalog?n=2', []
    while url:
        a = ask('GET', url, want=200)
        got += a.json()['repositories']
        assert len(a.json()['repositories']) <= 2
        url = a['link'] and a['link'][1:a['link'].index('>')]
    assert [r for r in got if r[0] == 'l'] == sorted(repos)
    # a long list goes as a file
    many = [f't{i:05}' + 'x' * 100 for i in range(1500)]
    m = image('l/many', None, 'many')
    for i in range(0, len(many), 50):
        q = '&'.join('tag=' + t for t in many[i:i + 50])
        ask('PUT', f'/v2/l/many/manifests/{digest(m)}?{q}', m, want=201)
    assert ask('GET', '/v2/l/many/tags/list', want=200).json()['tags'] == many
    a = ask('HEAD', '/v2/l/many/tags/list', want=200)
    assert int(a['content-length']) > 150000


def referrers():
    base = image('r', 'base', 'base')
    url = f'/v2/r/referrers/{digest(base)}'
    a = ask('GET', url, want=200)
    assert a['content-type'] == INDEX and a.json() == {'schemaVersion': 2, 'mediaType': INDEX, 'manifests': []}
    sub = descriptor(base, OCI)
    sbom = image('r', None, 'sbom', subject=sub, artifactType='x/sbom', annotations={'a': 'b'})
    sig = image('r', 'sig', 'sig', subject=sub)
    idx = json.dumps({'schemaVersion': 2, 'mediaType': INDEX, 'manifests': [], 'subject': sub}).encode()
    a = ask('PUT', f'/v2/r/manifests/{digest(idx)}', idx, [('Content-Type', INDEX)], want=201)
    assert a['oci-subject'] == sub['digest']
    want = [{**descriptor(sbom, OCI), 'artifactType': 'x/sbom', 'annotations': {'a': 'b'}},
            {**descriptor(sig, OCI), 'artifactType': 'application/vnd.oci.image.config.v1+json'},
            descriptor(idx, INDEX)]
    want.sort(key=lambda d: d['digest'])
    a = ask('GET', url, want=200)
    assert a.json()['manifests'] == want, a.body
    assert not a['oci-filters-applied']
    a = ask('GET', url + '?artifactType=x%2Fsbom', want=200)
    assert a['oci-filters-applied'] == 'artifactType'
    assert [m['digest'] for m in a.json()['manifests']] == [digest(sbom)]
    assert ask('GET', url + '?artifactType=none', want=200).json()['manifests'] == []
    # of what isn't there yet
    ghost = b'{"not": "pushed"}'
    early = image('r', None, 'early', subject=descriptor(ghost, OCI))
    a = ask('GET', f'/v2/r/referrers/{digest(ghost)}', want=200)
    assert [m['digest'] for m in a.json()['manifests']] == [digest(early)]
    ask('DELETE', f'/v2/r/manifests/{digest(sbom)}', want=202)
    assert digest(sbom) not in ask('GET', url, want=200).body.decode()
    ask('GET', '/v2/r/referrers/sha256:xyz', want=400)
    assert ask('GET', f'/v2/nowhere/referrers/{digest(base)}', want=200).json()['manifests'] == []


def paths():
    """Nothing leaves the registry's folder."""
    secret = os.path.join(os.path.dirname(ROOT), 'secret')
    with open(secret, 'w', encoding='utf-8') as f:
        f.write('nobody reads this')
    image('p', 't', 'x')
    for name in '../p', 'p/..', '..', 'p/../p', 'p//q', '%2e%2e/p', 'p%2f..%2fp', '%2e%2e%2f%2e%2e', 'P', 'p_', '_tags', 'p/_tags', \
            '.p', 'p%00', 'p%zz', 'a' * 256, 'p/./q', '-p', 'p___q', '%c3%a4':
        for rest in '/tags/list', '/manifests/t', f'/blobs/{digest(b"")}', f'/referrers/{digest(b"")}':
            a = ask('GET', f'/v2/{name}{rest}')
            assert a.status in (400, 404) and b'nobody reads' not in a.body, (name, rest, a.status)
        a = ask('POST', f'/v2/{name}/blobs/uploads/', b'')
        assert a.status in (400, 404), (name, a.status)
    for ref in '..', '../t', '%2e%2e%2ft', '..%2f..%2f..%2f..%2fsecret', '.', 'sha256:..%2f..', 'sha256:' + '0' * 63 + '%2f', 't%00':
        for path in f'/v2/p/manifests/{ref}', f'/v2/p/blobs/{ref}', f'/v2/p/blobs/uploads/{ref}', f'/v2/p/referrers/{ref}':
            for method in 'GET', 'PUT', 'PATCH', 'DELETE':
                a = ask(method, path, b'' if method != 'GET' else None)
                assert a.status in (400, 404, 405) and b'nobody reads' not in a.body, (method, path, a.status)
    a = ask('POST', f'/v2/p/blobs/uploads/?mount={digest(b"layer x")}&from=..%2fp', b'', want=202)
    # what stands behind a link isn't served
    os.makedirs(f'{ROOT}/repositories/q/_blobs')
    os.symlink(secret, f'{ROOT}/repositories/q/_blobs/{digest(b"l")}')
    ask('GET', f'/v2/q/blobs/{digest(b"l")}', want=404)
    for path in '/', '/v3/', '/v2/p', '/v2/p/nothing', '/v2/p/blobs/', '/etc/passwd', '/v2/' + 'a/' * 100 + 'tags/list', '*':
        assert ask('GET', path).status in (400, 404), path
    a = ask('POST', '/v2/p/manifests/t', b'', want=405)
    assert a['allow'] == 'GET, HEAD, PUT, DELETE', a['allow']
    assert a.code() == 'UNSUPPORTED'
    ask('BREW', '/v2/', want=405)
    assert not [f for f in glob.glob(os.path.dirname(ROOT) + '/*') if 'p' == os.path.basename(f)]


def http():
    """HTTP as it shouldn't be, and as it may be."""
    get = b'GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n'
    # pipelined, with a body between
    url = begin('h').encode()
    answers = raw(get + b'PATCH ' + url + b' HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc' + get +
                  b'GET ' + url + b' HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    assert [a.status for a in answers] == [200, 202, 200, 204], [a.status for a in answers]
    assert answers[3]['range'] == '0-2'
    a = raw(b'GET /v2/ HTTP/1.0\r\n\r\n')
    assert len(a) == 1 and a[0]['connection'] == 'close'
    with connect() as s:
        s.sendall(b'GET /v2/ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n')
        f = s.makefile('rb')
        assert read_answer(f)['connection'] == 'keep-alive'
        s.sendall(get)
        assert read_answer(f).status == 200
    for data, status in [
            (b'\x16\x03\x01\x02\x00', 400), (b'GET\r\n\r\n', 400), (b'GET / HTTP/3.0\r\nHost: x\r\n\r\n', 505),
            (b'GET / HTTP/1.1\r\n\r\n', 400), (b'GET /' + b'a' * 9000 + b' HTTP/1.1\r\nHost: x\r\n\r\n', 414),
            (b'GET / HTTP/1.1\r\nHost: x\r\n' + b'A: b\r\n' * 200 + b'\r\n', 431),
            (b'GET / HTTP/1.1\r\nHost: x\r\nA: ' + b'b' * 100000, 431),
            (b'PUT /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n', 400),
            (b'PUT /v2/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n', 501),
            (b'PATCH ' + url + b' HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n', 400)]:
        answers = raw(data)
        assert [a.status for a in answers] == [status] and answers[0]['connection'] == 'close', (data[:60], status, [a.status for a in answers])
    # 100 Continue comes when the body is wanted, and doesn't when it isn't
    with connect() as s:
        s.sendall(b'PATCH ' + url + b' HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n')
        f = s.makefile('rb')
        assert f.readline() == b'HTTP/1.1 100 Continue\r\n' and f.readline() == b'\r\n'
        s.sendall(b'def')
        assert read_answer(f)['range'] == '0-5'
    a = raw(b'PATCH ' + url[:-1] + b'z HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n')
    assert [x.status for x in a] == [404] and a[0]['connection'] == 'close'
    # a refused body is read to its end when it is short: the connection stays
    with connect() as s:
        f = s.makefile('rb')
        s.sendall(b'PUT /v2/nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n' + b'x' * 5000 + get)
        assert read_answer(f).status == 404
        assert read_answer(f).status == 200
    # and the answer arrives when it is long
    a = ask('PUT', '/v2/nothing', b'x' * 20000000)
    assert a.status == 404 and a['connection'] == 'close'


def slow():
    """Clients that do nothing, or too little, with --timeout 2s."""
    import select
    data = os.urandom(30000000)
    d = push('s', data)
    began = time.time()
    head = connect()
    head.sendall(b'GET /v2/ HT')
    idle = connect()
    drip = connect()
    url = begin('s')
    body = connect()
    body.sendall(f'PATCH {url} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n'.encode())
    reader = connect()
    reader.sendall(f'GET /v2/s/blobs/{d} HTTP/1.1\r\nHost: x\r\n\r\n'.encode())
    # byte by byte: each in time, the whole is not
    gone = {}
    alive = {'head': head, 'idle': idle, 'drip': drip, 'body': body}
    while alive and time.time() - began < 15:
        for name in 'drip', 'body', 'head':
            if name in alive:
                try:
                    alive[name].send(b'A')
                except OSError:
                    pass
        # others are served meanwhile
        t = time.time()
        ask('GET', '/v2/', want=200)
        assert time.time() - t < 1
        for s in select.select(list(alive.values()), [], [], 0.1)[0]:
            name = [n for n, x in alive.items() if x is s][0]
            try:
                got = s.recv(4096)
            except OSError:
                got = b''
            if not got:
                gone[name] = time.time() - began
                del alive[name]
    assert not alive, f'still there: {alive}'
    for name, t in gone.items():
        assert 1.5 < t < 10, gone
    # the one that never reads is gone as well: its file isn't sent to the end
    time.sleep(1)
    reader.settimeout(5)
    n = 0
    try:
        while True:
            got = reader.recv(1 << 20)
            if not got:
                break
            n += len(got)
    except OSError:
        pass
    assert n < len(data), n
    # the upload's bytes are kept
    ask('GET', url, want=204)


def many():
    """A thousand connections at once, and what they cost."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 5000), hard))
    data = os.urandom(2000000)
    d = push('many', data)
    pid = int(os.environ['SERVER'])
    conns = []
    for i in range(990):
        s = connect()
        s.sendall(b'GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n')
        conns.append(s)
    for s in conns:
        assert read_answer(s.makefile('rb')).status == 200
    # all ask for a file of 2 MB, and all get it
    for s in conns:
        s.sendall(f'GET /v2/many/blobs/{d} HTTP/1.1\r\nHost: x\r\n\r\n'.encode())
    for s in conns:
        a = read_answer(s.makefile('rb'))
        assert a.status == 200 and digest(a.body) == d
    # beyond the limit the idle make room
    more = [connect() for _ in range(100)]
    time.sleep(1.1)
    for s in more:
        s.sendall(b'GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n')
    for s in more:
        assert read_answer(s.makefile('rb')).status == 200
    rss = [int(l.split()[1]) for l in open(f'/proc/{pid}/status', encoding='ascii') if l.startswith('VmHWM')][0]
    assert rss < 60000, f'{rss} KiB'
    print(f'# 1,000 connections: {rss} KiB at most', file=sys.stderr)
    # half of them send a body at the same time
    ups = [begin('many') for _ in range(100)]
    errors = []

    def upload(url, i):
        try:
            body = bytes([i]) * 3000000
            ask('PATCH', url, body, want=202)
            ask('PUT', f'{url}?digest={digest(body)}', b'', want=201)
        except Exception as e:
            errors.append(e)
    threads = [threading.Thread(target=upload, args=(u, i)) for i, u in enumerate(ups)]
    for t in threads:
        t.start()
    worst = 0
    while any(t.is_alive() for t in threads):
        t0 = time.time()
        ask('GET', '/v2/', want=200)
        worst = max(worst, time.time() - t0)
    assert not errors, errors[0]
    assert worst < 2, worst
    rss = [int(l.split()[1]) for l in open(f'/proc/{pid}/status', encoding='ascii') if l.startswith('VmHWM')][0]
    assert rss < 60000, f'{rss} KiB'


def fill():
    """Pushes images until the server goes away; says each that was acknowledged."""
    i = 0
    prefix = sys.argv[4]
    try:
        while True:
            name = f'{prefix}-{i}'
            data = image('k/x', name, name)
            # in one piece: others write to the same file
            os.write(1, f'{name} {digest(data)}\n'.encode())
            i += 1
    except (OSError, AttributeError, TypeError, AssertionError):
        pass


def verify():
    """All that was acknowledged is there, and all that is there is whole; the names come by standard input."""
    for line in sys.stdin:
        name, d = line.split()
        a = ask('GET', f'/v2/k/x/manifests/{name}', want=200)
        assert digest(a.body) == d, name
    for repo in ask('GET', '/v2/_catalog', want=200).json()['repositories']:
        for tag in ask('GET', f'/v2/{repo}/tags/list', want=200).json()['tags']:
            m = ask('GET', f'/v2/{repo}/manifests/{tag}', want=200)
            assert digest(m.body) == m['docker-content-digest']
            for ref in [m.json()['config']] + m.json()['layers']:
                b = ask('GET', f'/v2/{repo}/blobs/{ref["digest"]}', want=200)
                assert digest(b.body) == ref['digest'], (repo, tag)
    for path in glob.glob(f'{ROOT}/blobs/sha256/*'):
        with open(path, 'rb') as f:
            assert digest(f.read()) == 'sha256:' + os.path.basename(path), path


def half():
    """Begins an upload and leaves; its place on standard output."""
    url = begin('half')
    ask('PATCH', url, b'a' * 1000000, want=202)
    print(url)


def rest():
    url = sys.argv[4]
    assert ask('GET', url, want=204)['range'] == '0-999999'
    body = b'a' * 1000000 + b'b' * 1000000
    ask('PATCH', url, body[1000000:], [('Content-Range', '1000000-1999999')], want=202)
    ask('PUT', f'{url}?digest={digest(body)}', b'', want=201)
    assert ask('GET', f'/v2/half/blobs/{digest(body)}', want=200).body == body


# --- behind a cache -----------------------------------------------------------------------------------------------

def origin_blob(kind):
    return random.Random(kind).randbytes(8000000)


def origin():
    """A registry for a cache to fetch from, on a port of the kernel's choice: repositories that stall, end too
    early, lie. ROOT/log has a line for each request; "stall" goes on when ROOT/go is there."""
    import http.server

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = 'HTTP/1.1'

        def log_message(self, *args):
            pass

        def send(self, status, body, kind='application/octet-stream', length=None, more=()):
            self.send_response(status)
            self.send_header('Content-Type', kind)
            self.send_header('Content-Length', str(len(body) if length is None else length))
            for k, v in more:
                self.send_header(k, v)
            self.end_headers()
            if self.command != 'HEAD':
                self.wfile.write(body)

        def do_GET(self):
            with open(f'{ROOT}/log', 'a', encoding='utf-8') as f:
                f.write(f'{self.command} {self.path} {self.headers.get("Range", "-")}\n')
            part = self.path.split('/')
            if len(part) < 5:
                return self.send(200, b'{}', 'application/json')
            kind, what = part[2], part[4]
            data = origin_blob(kind)
            if part[3] == 'manifests' and what != 'none':
                m = json.dumps({'schemaVersion': 2, 'mediaType': OCI, 'config': descriptor(data, 'a/b'), 'layers': []}).encode()
                if kind == 'badmanifest':
                    m = m.replace(b'2', b'3', 1)
                return self.send(200, m, OCI, more=[('Docker-Content-Digest', digest(m))])
            if part[3] == 'tags':
                return self.send(200, b'{"name": "x", "tags": ["b", "a", "../c"]}', 'application/json')
            if part[3] != 'blobs' or what != digest(data):
                return self.send(404, b'{"errors": [{"code": "BLOB_UNKNOWN"}]}', 'application/json')
            first = int((self.headers.get('Range') or 'bytes=0-')[6:-1])
            more = [('Content-Range', f'bytes {first}-{len(data) - 1}/{len(data)}')] if first else []
            status = 206 if first else 200
            if kind == 'lie':
                return self.send(200, data[:-1] + bytes([data[-1] ^ 1]))
            if kind == 'short' and not first:
                self.send(200, data[:3000000], length=len(data))
                self.close_connection = True
                return None
            if kind.startswith('stall') and self.command == 'GET' and not first:
                self.send(200, data[:2000000], length=len(data))
                self.wfile.flush()
                while not os.path.exists(f'{ROOT}/go'):
                    time.sleep(0.02)
                return self.wfile.write(data[2000000:])
            return self.send(status, data[first:], more=more)
        do_HEAD = do_GET

    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


def asked(text):
    with open(os.path.dirname(ROOT) + '/log', encoding='utf-8') as f:
        return [line for line in f if text in line]


def cache():
    go = os.path.dirname(ROOT) + '/go'
    # what comes is given on before all of it is there; one fetch serves all who ask
    data = origin_blob('stall')
    ask('GET', '/v2/stall/manifests/t', want=200)
    a = ask('HEAD', f'/v2/stall/blobs/{digest(data)}', want=200)
    assert int(a['content-length']) == len(data)
    conns = [connect() for _ in range(4)]
    for s in conns:
        s.sendall(f'GET /v2/stall/blobs/{digest(data)} HTTP/1.1\r\nHost: x\r\n\r\n'.encode())
    got = b''
    while len(got) < 2000000:
        got += conns[0].recv(1 << 20)
    assert not os.path.exists(go)
    # others don't wait for it
    ask('GET', '/v2/', want=200)
    ask('GET', '/v2/fine/manifests/t', want=200)
    conns[3].close()
    with open(go, 'w', encoding='utf-8'):
        pass
    while len(got.partition(b'\r\n\r\n')[2]) < len(data):
        more = conns[0].recv(1 << 20)
        assert more
        got += more
    assert got.partition(b'\r\n\r\n')[2] == data
    for s in conns[1:3]:
        a = read_answer(s.makefile('rb'))
        assert a.status == 200 and a.body == data
    assert len([l for l in asked('/v2/stall/blobs/') if l.startswith('GET')]) == 1, asked('stall')
    ask('GET', f'/v2/stall/blobs/{digest(data)}', headers=[('Range', 'bytes=5-9')], want=206)
    # its end comes too early: the rest is asked for
    data = origin_blob('short')
    ask('GET', '/v2/short/manifests/t', want=200)
    assert ask('GET', f'/v2/short/blobs/{digest(data)}', want=200).body == data
    assert asked('bytes=3000000-'), asked('short')
    # a part of what isn't here; what no manifest names
    data = origin_blob('part')
    assert ask('GET', f'/v2/part/blobs/{digest(data)}', headers=[('Range', 'bytes=100-199')], want=206).body == data[100:200]
    # wrong bytes: the client gets less than was promised, nothing is kept
    data = origin_blob('lie')
    ask('GET', '/v2/lie/manifests/t', want=200)
    for _ in range(2):
        with connect() as s:
            s.sendall(f'GET /v2/lie/blobs/{digest(data)} HTTP/1.1\r\nHost: x\r\n\r\n'.encode())
            got = s.makefile('rb').read()
        assert f'Content-Length: {len(data)}\r\n'.encode() in got
        assert len(got.partition(b'\r\n\r\n')[2]) < len(data)
    assert not os.path.exists(f'{ROOT}/blobs/sha256/{digest(data)[7:]}')
    # without a size that is known it is an error
    for _ in range(2):
        ask('GET', f'/v2/lie/blobs/{digest(data)}', headers=[('Range', 'bytes=0-5')], want=502)
    assert ask('GET', '/v2/badmanifest/manifests/t', want=502).status == 502
    assert ask('GET', '/v2/fine/manifests/none', want=404).code() == 'MANIFEST_UNKNOWN'
    assert ask('GET', f'/v2/fine/blobs/{digest(b"no")}', want=404).code() == 'BLOB_UNKNOWN'
    ask('HEAD', f'/v2/fine/blobs/{digest(b"no")}', want=404)
    tags = ask('GET', '/v2/fine/tags/list', want=200).json()['tags']
    assert sorted(tags) == ['a', 'b'], tags
    for method, path in [('POST', 'blobs/uploads/'), ('PUT', 'manifests/t')]:
        assert ask(method, f'/v2/fine/{path}', b'', want=405).code() == 'UNSUPPORTED'


def stalled():
    """Begins to fetch and stays; for a server that is killed meanwhile."""
    data = origin_blob('stall2')
    ask('GET', '/v2/stall2/manifests/t', want=200)
    with connect() as s:
        s.sendall(f'GET /v2/stall2/blobs/{digest(data)} HTTP/1.1\r\nHost: x\r\n\r\n'.encode())
        got = b''
        while len(got) < 2000000:
            got += s.recv(1 << 20)


def gone_on():
    data = origin_blob('stall2')
    assert ask('GET', f'/v2/stall2/blobs/{digest(data)}', want=200).body == data
    assert asked('bytes=2000000-'), asked('stall2')


def main():
    global HOST, ROOT
    HOST, ROOT = sys.argv[2], sys.argv[3]
    globals()[sys.argv[1]]()


main()
