"""Makes million.csv and million.osm.pbf, a million places each, beside itself."""
import random, zlib, struct
random.seed(1)
N=1_000_000
kinds=[("amenity","cafe"),("amenity","restaurant"),("shop","books"),("tourism","hotel"),("leisure","park"),("amenity","pharmacy"),("office","company"),("railway","station")]
def pt(): return random.uniform(-60,70), random.uniform(-180,180)
with open("million.csv","w") as f:
    f.write("name,lat,lng,types,city\n")
    for i in range(N):
        a,b=pt(); f.write(f"Place number {i} Something,{a:.6f},{b:.6f},{kinds[i%8][1]};establishment,City {i%5000}\n")
def vi(n):
    o=bytearray()
    while n>=128: o.append(n&127|128); n>>=7
    o.append(n); return bytes(o)
zz=lambda v: vi((v<<1)^(v>>63) & (2**64-1)) if v>=0 else vi((-v<<1)-1)
def fb(f,b): return vi(f<<3|2)+vi(len(b))+b
def fn(f,n): return vi(f<<3)+vi(n)
def blob(k,d):
    body=fn(2,len(d))+fb(3,zlib.compress(d,6)); h=fb(1,k)+fn(3,len(body))
    return struct.pack(">I",len(h))+h+body
def deltas(vs):
    last=0; o=bytearray()
    for v in vs: o+=zz(v-last); last=v
    return bytes(o)
class S:
    def __init__(s): s.l=[b""]; s.d={}
    def of(s,t):
        if t not in s.d: s.d[t]=len(s.l); s.l.append(t.encode())
        return s.d[t]
    def block(s,g): return fb(1,b"".join(fb(1,x) for x in s.l))+fb(2,g)
out=open("million.osm.pbf","wb")
out.write(blob(b"OSMHeader",fb(4,b"OsmSchema-V0.6")+fb(4,b"DenseNodes")))
POI=800_000; W=200_000; nid=0
# 4.2 million nodes: POI nodes and way nodes
ways=[]
def dump(nodes):
    s=S(); kv=bytearray()
    for (_,_,_,t) in nodes:
        for k,v in t: kv+=vi(s.of(k))+vi(s.of(v))
        kv.append(0)
    d=fb(1,deltas(n[0] for n in nodes))+fb(8,deltas(n[1] for n in nodes))+fb(9,deltas(n[2] for n in nodes))+fb(10,bytes(kv))
    out.write(blob(b"OSMData",s.block(fb(2,d))))
buf=[]
def put(n):
    buf.append(n)
    if len(buf)==8000: dump(buf); buf.clear()
for i in range(POI):
    a,b=pt(); nid+=1
    k=kinds[i%8]
    put((nid,int(a*1e7),int(b*1e7),[k,("name",f"Place number {i} Something"),("addr:street",f"Street {i%3000}"),("addr:housenumber",str(i%99+1)),("addr:city",f"City {i%5000}")]))
for i in range(W):
    a,b=pt(); first=nid+1
    for dx,dy in ((0,0),(0,1),(1,1),(1,0),(.5,2)):
        nid+=1; put((nid,int((a+dy*1e-4)*1e7),int((b*.99+dx*1e-4)*1e7),[]))
    ways.append((i+1,list(range(first,first+5))+[first],i))
for i in range(2_000_000):   # nodes of roads nobody needs
    nid+=1; a,b=pt(); put((nid,int(a*1e7),int(b*1e7),[]))
if buf: dump(buf)
for at in range(0,W,4000):
    s=S(); g=b""; parts=[]
    for (w,refs,i) in ways[at:at+4000]:
        t=[kinds[i%8],("name",f"House number {i}"),("building","yes")]
        o=fn(1,w)+fb(2,b"".join(vi(s.of(k)) for k,_ in t))+fb(3,b"".join(vi(s.of(v)) for _,v in t))+fb(8,deltas(refs))
        parts.append(fb(3,o))
    out.write(blob(b"OSMData",s.block(b"".join(parts))))
out.close()
