# Where lavaan gives robust fit indices of ordered items, and where NA: a grid of data x model x equalities.
# Run from the root of the repository: Rscript semfit/tests/reference/ordinal_indices.R
# It makes ordinal_indices.json (cases, with the measures of each), the data sets that are drawn here, ordinal_indices_<name>.csv,
# and ordinal_indices_sessionInfo.txt. With LAVAAN_NEW=<library with lavaan 0.7-2> it makes ordinal_indices_new.json only.
NEW <- Sys.getenv("LAVAAN_NEW")
if (nzchar(NEW)) library(lavaan, lib.loc = NEW) else library(lavaan)
suppressMessages(library(jsonlite))
OUT <- "semfit/tests/reference"
file_of <- function(name) if (name %in% c("hscat", "bfi")) file.path(OUT, "estimators", paste0("data_", name, ".csv")) else
  file.path(OUT, paste0("ordinal_indices_", name, ".csv"))

# ---- data -----------------------------------------------------------------------------------------------------------
cut_at <- function(z, at) findInterval(z, at) + 1L
drawn <- function(seed, n, p, cuts, loading) {
  set.seed(seed)
  f <- matrix(rnorm(n * 2), n) %*% chol(matrix(c(1, .4, .4, 1), 2))
  z <- f[, rep(1:2, each = p / 2)] * loading + sqrt(1 - loading^2) * matrix(rnorm(n * p), n)
  z[, 4] <- z[, 4] + .4 * f[, 2] # what no model here has
  data.frame(setNames(as.data.frame(apply(z, 2, cut_at, at = cuts)), paste0("u", 1:p)), g = rep(c("a", "b"), length.out = n))
}
if (!nzchar(NEW)) {
  # few and tight: few respondents and high loadings, a polychoric matrix that is not positive definite
  sets <- list(five = drawn(11, 400, 8, c(-1, -.3, .3, 1), .7), three = drawn(12, 400, 8, c(-.5, .6), .7),
    two = drawn(13, 600, 8, .2, .7), few = drawn(53, 45, 8, c(-.3, .8), .9),
    tight = drawn(74, 90, 8, c(-.3, .8), .9))
  for (name in names(sets)) write.csv(sets[[name]], file_of(name), row.names = FALSE)
}

# ---- cases ----------------------------------------------------------------------------------------------------------
TWO <- "f =~ u1 + u2 + u3 + u4\nh =~ u5 + u6 + u7 + u8"
ONE <- "f =~ u1 + u2 + u3 + u4 + u5 + u6 + u7 + u8"
LABELS <- "f =~ u1 + a*u2 + a*u3 + u4\nh =~ u5 + u6 + u7 + u8"
FIXED_LOADING <- "f =~ u1 + 1*u2 + u3 + u4\nh =~ u5 + u6 + u7 + u8"
FIXED_THRESHOLD <- paste0(TWO, "\nu1 | 0*t1")
LABELLED_THRESHOLDS <- paste0(TWO, "\nu1 | k*t1\nu2 | k*t1")
RESIDUALS <- paste0(TWO, "\nu1 ~~ u5")
PATH <- paste0(TWO, "\nh ~ f")
HS <- "visual =~ x1 + x2 + x3\ntextual =~ x4 + x5 + x6\nspeed =~ x7 + x8 + x9"
BFI <- "A =~ A1 + A2 + A3 + A4 + A5\nC =~ C1 + C2 + C3 + C4 + C5"
MODELS <- list(two = TWO, one = ONE, labels = LABELS, fixed_loading = FIXED_LOADING, fixed_threshold = FIXED_THRESHOLD,
  labelled_thresholds = LABELLED_THRESHOLDS, residuals = RESIDUALS, path = PATH, hs = HS, bfi = BFI)
case <- function(data, model, group = NULL, equal = character()) list(data = data, model = model, group = group, equal = I(equal))
small <- c("five", "three", "two", "few", "tight")
EQUAL <- list(character(), "loadings", "thresholds", c("loadings", "thresholds"), c("loadings", "regressions"),
  "lv.variances", c("loadings", "lv.variances", "lv.covariances"), "residual.covariances", c("loadings", "thresholds", "means"))
CASES <- c(
  unlist(lapply(small, function(d) lapply(setdiff(names(MODELS), c("hs", "bfi")), function(m) case(d, m))), FALSE),
  unlist(lapply(c("five", "three", "two"), function(d) lapply(EQUAL, function(e) case(d, "two", "g", e))), FALSE),
  lapply(EQUAL[c(1, 2, 5, 8)], function(e) case("five", "residuals", "g", e)),
  lapply(EQUAL[c(1, 2, 5)], function(e) case("five", "path", "g", e)),
  lapply(list(character(), "loadings"), function(e) case("tight", "two", "g", e)),
  list(case("hscat", "hs"), case("bfi", "bfi")),
  lapply(EQUAL[1:4], function(e) case("hscat", "hs", "school", e)))

# ---- fits -----------------------------------------------------------------------------------------------------------
MEASURES <- c("npar", "df", "chisq", "chisq.scaled", "cfi.scaled", "tli.scaled", "rmsea.scaled", "cfi.robust", "tli.robust",
  "rmsea.robust", "rmsea.ci.lower.robust", "rmsea.ci.upper.robust", "rmsea.pvalue.robust")
# lavaan 0.6-14 stops where its refit of the correlations fails, as where thresholds are equal: then its test only
measures_of <- function(fit) {
  all <- tryCatch(suppressWarnings(fitMeasures(fit)), error = function(e) NULL)
  if (is.null(all)) all <- c(npar = fit@optim$npar, unlist(fitMeasures(fit, c("df", "chisq", "chisq.scaled"))))
  as.list(setNames(unclass(all)[MEASURES], MEASURES))
}
answer <- function(case) {
  d <- read.csv(file_of(case$data))
  arguments <- list(MODELS[[case$model]], d, estimator = "WLSMV", ordered = lavNames(MODELS[[case$model]], "ov"))
  if (!is.null(case$group)) arguments <- c(arguments, list(group = case$group,
    group.label = sort(unique(as.character(d[[case$group]])))))
  if (length(case$equal)) arguments <- c(arguments, list(group.equal = as.character(case$equal)))
  fit <- tryCatch(suppressWarnings(do.call("sem", arguments)), error = function(e) NULL)
  found <- !is.null(fit) && lavInspect(fit, "converged")
  measures <- if (found) measures_of(fit)
  eigen <- if (found) min(unlist(lapply(lavInspect(fit, "sampstat", drop.list.single.group = FALSE), function(g)
    eigen(unclass(g$cov), TRUE, TRUE)$values)))
  c(case, list(converged = found, smallest_eigenvalue = eigen, measures = measures))
}
result <- list(lavaan = as.character(packageVersion("lavaan", lib.loc = if (nzchar(NEW)) NEW)), models = MODELS,
  cases = lapply(CASES, answer))
json <- toJSON(result, digits = I(12), na = "null", null = "null", auto_unbox = TRUE)
if (nzchar(NEW)) {
  write(json, file.path(OUT, "ordinal_indices_new.json"))
} else {
  write(json, file.path(OUT, "ordinal_indices.json"))
  writeLines(sub(" /.*/", " ", capture.output(sessionInfo())), file.path(OUT, "ordinal_indices_sessionInfo.txt"))
}
