-- Turns REPORT.md's Markdown into what a paper of two columns has: a title, an abstract, floats, numbered sections.
--
--   the first heading                        the title, and the line under it the authors
--   "## Abstract"                            the abstract
--   a heading's number ("## 3 Design")       LaTeX's own
--   "**Table 1.** ..." before a table        its caption; "<!-- wide -->" before that: over both columns
--   an image, "**Figure 1.** ..." after it   a figure and its caption
--   "## References" and its list             in small print

local function latex(blocks)
  return pandoc.write(pandoc.Pandoc(blocks), "latex")
end

local function starts_with(block, word)
  if not block or block.t ~= "Para" then return false end
  local first = block.content[1]
  return first and first.t == "Strong" and pandoc.utils.stringify(first):match("^" .. word) ~= nil
end

-- The caption without its "Table 1.", which LaTeX counts itself.
local function caption(block)
  local inlines = pandoc.Inlines(block.content)
  inlines:remove(1)
  if inlines[1] and inlines[1].t == "Space" then inlines:remove(1) end
  return latex({ pandoc.Plain(inlines) })
end

local function cell(blocks)
  return (latex(blocks):gsub("\n", " "))
end

local function tabular(tbl, wide)
  local simple = pandoc.utils.to_simple_table(tbl)
  local letters = {}
  local count = #simple.aligns
  for i, align in ipairs(simple.aligns) do
    letters[i] = ({ AlignLeft = "l", AlignRight = "r", AlignCenter = "c", AlignDefault = "l" })[tostring(align)]
  end
  -- A table of words: its columns share the width by what is asked for in the comment, such as "<!-- wide 2 3 3 3 -->".
  if type(wide) == "table" then
    local sum = 0
    for _, share in ipairs(wide) do sum = sum + share end
    local width = wide.both and "\\textwidth" or "\\columnwidth"
    for i, share in ipairs(wide) do
      letters[i] = string.format(
        ">{\\raggedright\\arraybackslash}p{\\dimexpr %.3f%s-2\\tabcolsep}", share / sum * 0.99, width)
    end
  end
  local out = { "\\begin{tabular}{@{}" .. table.concat(letters) .. "@{}}\\toprule" }
  local function row(cells)
    local texts = {}
    for i = 1, count do texts[i] = cell(cells[i] or {}) end
    return table.concat(texts, " & ") .. " \\\\"
  end
  local has_head = false
  for _, head in ipairs(simple.header) do has_head = has_head or #head > 0 end
  if has_head then
    out[#out + 1] = row(simple.header)
    out[#out + 1] = "\\midrule"
  end
  for _, cells in ipairs(simple.rows) do out[#out + 1] = row(cells) end
  out[#out + 1] = "\\bottomrule\\end{tabular}"
  return table.concat(out, "\n")
end

local function float(kind, both, body, text)
  local name = both and kind .. "*" or kind
  local above = kind == "table" and "\\caption{" .. text .. "}" or ""
  local below = kind == "figure" and "\\caption{" .. text .. "}" or ""
  return pandoc.RawBlock("latex", string.format(
    "\\begin{%s}[t]\\centering\\footnotesize\\setlength{\\tabcolsep}{3.5pt}%s\n%s\n%s\\end{%s}",
    name, above, body, below, name))
end

local function image_of(block)
  if block and block.t == "Figure" then
    local found
    block:walk({ Image = function(image) found = image end })
    return found
  end
  if block and block.t == "Para" and #block.content == 1 and block.content[1].t == "Image" then
    return block.content[1]
  end
end

-- "<!-- wide -->", "<!-- wide 1 2 3 -->" or "<!-- shares 1 2 3 -->".
local function remark(block)
  if block.t ~= "RawBlock" or block.format ~= "html" then return nil end
  local kind, rest = block.text:match("^<!%-%- (%a+)([%d%. ]*)%-%->")
  if kind ~= "wide" and kind ~= "shares" then return nil end
  local shares = { both = kind == "wide" }
  for share in rest:gmatch("[%d%.]+") do shares[#shares + 1] = tonumber(share) end
  return shares
end

function Pandoc(doc)
  local blocks, out = doc.blocks, pandoc.Blocks({})
  local i = 1
  local layout
  while i <= #blocks do
    local block = blocks[i]
    local shares = remark(block)
    if shares then
      layout = shares
    elseif block.t == "Header" and block.level == 1 then
      doc.meta.title = pandoc.MetaInlines(block.content)
      if blocks[i + 1] and blocks[i + 1].t == "Para" then
        doc.meta.author = pandoc.MetaList({ pandoc.MetaInlines(blocks[i + 1].content) })
        i = i + 1
      end
    elseif block.t == "Header" and pandoc.utils.stringify(block) == "Abstract" then
      local body = pandoc.Blocks({})
      while blocks[i + 1] and blocks[i + 1].t == "Para" do
        body:insert(blocks[i + 1])
        i = i + 1
      end
      out:insert(pandoc.RawBlock("latex", "\\begin{abstract}" .. latex(body) .. "\\end{abstract}"))
    elseif block.t == "Header" and pandoc.utils.stringify(block) == "References" then
      local body = pandoc.Blocks({})
      while blocks[i + 1] do
        body:insert(blocks[i + 1])
        i = i + 1
      end
      out:insert(pandoc.RawBlock("latex",
        "\\section*{References}{\\footnotesize\\raggedright\\setlength{\\parskip}{1pt}\\setlength{\\parindent}{0pt}"
        .. latex(body) .. "\\par}"))
    elseif block.t == "Header" then
      local inlines = block.content
      if inlines[1] and inlines[1].t == "Str" and inlines[1].text:match("^[%d%.]+$") then
        inlines:remove(1)
        if inlines[1] and inlines[1].t == "Space" then inlines:remove(1) end
      end
      local command = block.level == 2 and "section" or "subsection"
      out:insert(pandoc.RawBlock("latex", "\\" .. command .. "{" .. latex({ pandoc.Plain(inlines) }) .. "}"))
    elseif starts_with(block, "Table") and blocks[i + 1] and blocks[i + 1].t == "Table" then
      local both = layout and layout.both
      local has_shares = layout and #layout > 0
      out:insert(float("table", both, tabular(blocks[i + 1], has_shares and layout), caption(block)))
      layout = nil
      i = i + 1
    elseif image_of(block) and starts_with(blocks[i + 1], "Figure") then
      local file = image_of(block).src:gsub("[/.]", "-") .. ".pdf"
      out:insert(float("figure", false, "\\includegraphics[width=\\columnwidth]{" .. file .. "}", caption(blocks[i + 1])))
      i = i + 1
    elseif block.t == "CodeBlock" then
      out:insert(pandoc.RawBlock("latex",
        "\\begin{Verbatim}[fontsize=\\scriptsize,xleftmargin=2pt]\n" .. block.text .. "\n\\end{Verbatim}"))
    else
      out:insert(block)
    end
    i = i + 1
  end
  doc.blocks = out
  return doc
end
