// Tailscale's DERP client library against our relay: derp-client DERP-RELAY starts that program and asks of it
// what tailscaled would. One line for each thing that works; the first that does not ends it.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"go4.org/mem"
	"tailscale.com/derp"
	"tailscale.com/derp/derphttp"
	"tailscale.com/net/netmon"
	"tailscale.com/tailcfg"
	"tailscale.com/types/key"
)

const patience = 10 * time.Second

func fail(format string, args ...any) {
	fmt.Printf("FAILED: "+format+"\n", args...)
	os.Exit(1)
}

func must(what string, err error) {
	if err != nil {
		fail("%s: %v", what, err)
	}
}

func ok(format string, args ...any) { fmt.Printf("ok    "+format+"\n", args...) }

// --- our relay

type relay struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	port int
	key  key.NodePublic
	pin  string
	cert string // SHA-256 of it, hex
}

func hexOf(k key.NodePublic) string { return k.UntypedHexString() }

func start(program string, port int, members ...key.NodePublic) *relay {
	args := []string{fmt.Sprintf("127.0.0.1:%d", port)}
	for _, m := range members {
		args = append(args, hexOf(m))
	}
	r := &relay{cmd: exec.Command(program, args...)}
	r.cmd.Stderr = os.Stderr
	in, err := r.cmd.StdinPipe()
	must("stdin", err)
	out, err := r.cmd.StdoutPipe()
	must("stdout", err)
	r.in, r.out = in, bufio.NewReader(out)
	must("starting the relay", r.cmd.Start())
	line, err := r.out.ReadString('\n')
	must("the relay's first line", err)
	var keyHex string
	if _, err := fmt.Sscan(line, &r.port, &keyHex, &r.pin); err != nil {
		fail("the relay says %q", line)
	}
	r.key, err = key.ParseNodePublicUntyped(mem.S(keyHex))
	must("the relay's key", err)
	return r
}

func (r *relay) say(line string) {
	_, err := io.WriteString(r.in, line+"\n")
	must("telling the relay", err)
}

func (r *relay) address() string { return fmt.Sprintf("127.0.0.1:%d", r.port) }

// The key that the record pins is the one in the certificate; Tailscale pins the certificate itself.
func (r *relay) lookAtCertificate() {
	c, err := tls.Dial("tcp", r.address(), &tls.Config{InsecureSkipVerify: true})
	must("TLS", err)
	defer c.Close()
	certs := c.ConnectionState().PeerCertificates
	spki, err := x509.MarshalPKIXPublicKey(certs[0].PublicKey)
	must("the certificate's key", err)
	sum := sha256.Sum256(spki)
	if pin := base64.StdEncoding.EncodeToString(sum[:]); pin != r.pin {
		fail("pin %s instead of %s", pin, r.pin)
	}
	r.cert = fmt.Sprintf("%x", sha256.Sum256(certs[0].Raw))
	if len(certs) != 2 || certs[1].Subject.CommonName != "derpkey"+hexOf(r.key) {
		fail("no certificate that carries the DERP key")
	}
}

// --- Tailscale's client

type client struct {
	*derphttp.Client
	secret key.NodePrivate
	got    chan derp.ReceivedMessage // closed when the connection ends
}

func (r *relay) connect(secret key.NodePrivate) *client {
	region := &tailcfg.DERPRegion{RegionID: 900, RegionCode: "home", Nodes: []*tailcfg.DERPNode{{
		Name: "900a", RegionID: 900, IPv4: "127.0.0.1", IPv6: "none", DERPPort: r.port, CertName: "sha256-raw:" + r.cert,
	}}}
	quiet := func(string, ...any) {}
	return &client{
		Client: derphttp.NewRegionClient(secret, quiet, netmon.NewStatic(), func() *tailcfg.DERPRegion { return region }),
		secret: secret,
	}
}

// Reads until the connection ends.
func (c *client) listen(got chan<- derp.ReceivedMessage) {
	defer close(got)
	for {
		m, err := c.Recv()
		if err != nil {
			return
		}
		if p, is := m.(derp.ReceivedPacket); is { // its bytes are the library's
			m = derp.ReceivedPacket{Source: p.Source, Data: bytes.Clone(p.Data)}
		}
		got <- m
	}
}

// Connects, or connects again.
func (c *client) logIn() {
	must("connecting", c.Connect(context.Background()))
	c.got = make(chan derp.ReceivedMessage, 100000)
	go c.listen(c.got)
	wait[derp.ServerInfoMessage](c)
}

func (r *relay) open(secret key.NodePrivate) *client {
	c := r.connect(secret)
	c.logIn()
	return c
}

// The next message of a kind; others that come before it are passed over.
func wait[M derp.ReceivedMessage](c *client) M {
	after := time.After(patience)
	for {
		select {
		case m, open := <-c.got:
			wanted, is := m.(M)
			if is {
				return wanted
			}
			if !open {
				fail("waiting for %T: the connection ended", wanted)
			}
		case <-after:
			var none M
			fail("no %T within %v", none, patience)
		}
	}
}

func (c *client) waitEnd(what string) {
	after := time.After(patience)
	for {
		select {
		case _, open := <-c.got:
			if !open {
				return
			}
		case <-after:
			fail("%s: the connection did not end", what)
		}
	}
}

func public(k key.NodePrivate) key.NodePublic { return k.Public() }

// --- what is asked

func exchange(a, b *client) {
	for _, n := range []int{0, 1, 148, 1200, 1452, 9000, 65536} {
		data := make([]byte, n)
		rand.New(rand.NewSource(int64(n))).Read(data)
		for _, pair := range [][2]*client{{a, b}, {b, a}} {
			must("sending", pair[0].Send(public(pair[1].secret), data))
			p := wait[derp.ReceivedPacket](pair[1])
			if p.Source != public(pair[0].secret) || !bytes.Equal(p.Data, data) {
				fail("a packet of %d bytes came as %d, from %v", n, len(p.Data), p.Source)
			}
		}
	}
	ok("packets of 0 to 65536 bytes, both ways")
}

func inOrder(a, b *client) {
	const n = 2000
	began := time.Now()
	go func() {
		for i := range n {
			must("sending", a.Send(public(b.secret), fmt.Appendf(nil, "%-1200d", i)))
		}
	}()
	for i := range n {
		p := wait[derp.ReceivedPacket](b)
		if got := strings.TrimSpace(string(p.Data)); got != strconv.Itoa(i) {
			fail("packet %s came as number %d", got, i)
		}
	}
	ok("%d packets in order, none lost, %.0f Mbit/s", n, n*1200*8/time.Since(began).Seconds()/1e6)
}

func pings(clients ...*client) {
	for _, c := range clients {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		must("ping", c.Ping(ctx))
		cancel()
	}
	ok("ping and pong")
}

func peerGone(r *relay, a *client, b key.NodePrivate) {
	must("sending", a.Send(public(key.NewNode()), []byte("x")))
	if m := wait[derp.PeerGoneMessage](a); m.Reason != derp.PeerGoneReasonNotHere {
		fail("a key that nobody has: reason %v", m.Reason)
	}
	other := r.open(b)
	must("sending", other.Send(public(a.secret), []byte("x")))
	wait[derp.ReceivedPacket](a)
	other.Close()
	if m := wait[derp.PeerGoneMessage](a); m.Peer != public(b) || m.Reason != derp.PeerGoneReasonDisconnected {
		fail("after a hang-up: %v, reason %v", m.Peer, m.Reason)
	}
	ok("a peer that is not here, and one that goes")
}

func sameKey(r *relay, a *client, b key.NodePrivate) {
	old := r.open(b)
	renewed := r.open(b)
	if m := wait[derp.HealthMessage](old); m.Problem == "" {
		fail("an empty health message")
	}
	old.waitEnd("the older of two with one key")
	old.Close()
	must("sending", a.Send(public(b), []byte("to the newer one")))
	wait[derp.ReceivedPacket](renewed)
	renewed.Close()
	ok("the same key again: the newest has it, the other is told")
}

func stranger(r *relay) {
	c := r.connect(key.NewNode())
	defer c.Close()
	must("connecting", c.Connect(context.Background()))
	health := false
	for {
		m, err := c.Recv()
		if err != nil {
			break
		}
		switch m.(type) {
		case derp.HealthMessage:
			health = true
		default:
			fail("a stranger is sent %T", m)
		}
	}
	if !health {
		fail("a stranger is not told why")
	}
	ok("a stranger is refused, and told so")
}

func removed(r *relay, k key.NodePrivate) {
	c := r.open(k)
	r.say("remove " + hexOf(public(k)))
	wait[derp.HealthMessage](c)
	c.waitEnd("a member that was removed")
	c.Close()
	again := r.connect(k)
	must("connecting", again.Connect(context.Background()))
	if m, err := again.Recv(); err == nil {
		if _, is := m.(derp.HealthMessage); !is {
			fail("a member that was removed is sent %T", m)
		}
	}
	again.Close()
	ok("a member that is removed goes, and does not come back")
}

// Without the certificate that carries the key: HTTP is answered, the key comes in a frame.
func slowStart(r *relay, secret key.NodePrivate) {
	c, err := tls.Dial("tcp", r.address(), &tls.Config{InsecureSkipVerify: true})
	must("TLS", err)
	defer c.Close()
	brw := bufio.NewReadWriter(bufio.NewReader(c), bufio.NewWriter(c))
	req, err := http.NewRequest("GET", "https://"+r.address()+"/derp", nil)
	must("request", err)
	req.Header.Set("Upgrade", "DERP")
	req.Header.Set("Connection", "Upgrade")
	must("request", req.Write(brw))
	must("request", brw.Flush())
	resp, err := http.ReadResponse(brw.Reader, req)
	must("answer", err)
	if resp.StatusCode != 101 || resp.Header.Get("Derp-Version") != "2" || resp.Header.Get("Derp-Public-Key") != hexOf(r.key) {
		fail("upgrade: %v %v", resp.Status, resp.Header)
	}
	d, err := derp.NewClient(secret, c, brw, func(string, ...any) {})
	must("login", err)
	if d.ServerPublicKey() != r.key {
		fail("another server key")
	}
	m, err := d.Recv()
	must("server information", err)
	if _, is := m.(derp.ServerInfoMessage); !is {
		fail("%T instead of server information", m)
	}
	ok("without a fast start")
}

func webOnly(r *relay) {
	h := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, Timeout: patience}
	get := func(path, field, value string, status int) http.Header {
		req, err := http.NewRequest("GET", "https://"+r.address()+path, nil)
		must("request", err)
		if field != "" {
			req.Header.Set(field, value)
		}
		resp, err := h.Do(req)
		must(path, err)
		resp.Body.Close()
		if resp.StatusCode != status {
			fail("%s: %v", path, resp.Status)
		}
		return resp.Header
	}
	get("/derp/probe", "", "", 200)
	get("/derp/latency-check", "", "", 200)
	if f := get("/generate_204", "X-Tailscale-Challenge", "ts_relay.home", 204); f.Get("X-Tailscale-Response") != "response ts_relay.home" {
		fail("generate_204 answers %v", f)
	}
	get("/derp", "", "", 426)
	get("/", "", "", 404)
	ok("probe, latency check, captive portal check")
}

func mesh(r *relay, a *client, b key.NodePrivate) {
	c := r.connect(b)
	c.WatchConnectionChanges = true
	_ = c.Connect(context.Background())
	for {
		m, err := c.Recv()
		if err != nil {
			break
		}
		if _, is := m.(derp.PeerPresentMessage); is {
			fail("a member may watch who is connected")
		}
	}
	c.Close()
	pings(a)
	ok("what only servers may ask is refused")
}

// The same port and keys again: both clients come back, as tailscaled's do.
func restart(r *relay, program string, members []key.NodePublic, a, b *client) *relay {
	r.say("restart")
	for _, c := range []*client{a, b} {
		if m := wait[derp.ServerRestartingMessage](c); m.ReconnectIn > time.Second || m.TryFor != 5*time.Second {
			fail("restart: %+v", m)
		}
		c.waitEnd("a restart")
	}
	must("the relay's end", r.cmd.Wait())
	again := start(program, r.port, members...)
	again.lookAtCertificate()
	if again.cert != r.cert || again.key != r.key {
		fail("another certificate or key after a restart")
	}
	for _, c := range []*client{a, b} {
		c.logIn()
	}
	ok("a restart is announced, and both come back")
	return again
}

// As fast as it goes: what comes came in order, and what did not is counted.
func flood(a, b *client) {
	const n = 60000
	began := time.Now()
	data := make([]byte, 1380)
	done := make(chan bool)
	go func() {
		for range n {
			must("sending", a.Send(public(b.secret), data))
		}
		must("sending", a.Send(public(b.secret), []byte("last")))
		close(done)
	}()
	came := 0
	for {
		p := wait[derp.ReceivedPacket](b)
		if string(p.Data) == "last" {
			break
		}
		came++
	}
	<-done
	ok("%d of %d packets as fast as it goes: %.0f Mbit/s", came, n, float64(came)*1380*8/time.Since(began).Seconds()/1e6)
	if came < n/2 {
		fail("fewer than half")
	}
}

func secretOf(first byte) key.NodePrivate {
	var raw [32]byte
	raw[0], raw[31] = first*8, 64
	k, err := key.ParseNodePrivateUntyped(mem.S(hex.EncodeToString(raw[:])))
	must("key", err)
	return k
}

func main() {
	if len(os.Args) != 2 {
		must("usage", errors.New("derp-client DERP-RELAY"))
	}
	secrets := []key.NodePrivate{secretOf(1), secretOf(2), secretOf(3)}
	var members []key.NodePublic
	for _, s := range secrets {
		members = append(members, public(s))
	}
	r := start(os.Args[1], 0, members...)
	r.lookAtCertificate()
	ok("TLS: the key is the one that is pinned, DERP's is in a second certificate")
	a, b := r.open(secrets[0]), r.open(secrets[1])
	if a.ServerPublicKey() != r.key {
		fail("another server key")
	}
	ok("two clients are in, by a fast start")
	a.NotePreferred(true)
	exchange(a, b)
	inOrder(a, b)
	pings(a, b)
	slowStart(r, secrets[2])
	peerGone(r, a, secrets[2])
	sameKey(r, a, secrets[2])
	mesh(r, a, secrets[2])
	stranger(r)
	webOnly(r)
	r = restart(r, os.Args[1], members, a, b)
	exchange(a, b)
	flood(a, b)
	removed(r, secrets[2])
	pings(a, b)
	a.Close()
	b.Close()
	must("closing", r.in.Close())
	counted, _ := io.ReadAll(r.out)
	must("the relay's end", r.cmd.Wait())
	cpu := r.cmd.ProcessState.UserTime() + r.cmd.ProcessState.SystemTime()
	fmt.Printf("%sthe relay's processor time since its restart: %v\n", counted, cpu)
}
